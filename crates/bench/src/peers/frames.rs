//! Frames for tables of libraries that ask for them: as cheap as can be.

use std::sync::Mutex;

use super::number;
use crate::subject::PAGE;

/// The words of a frame.
#[derive(Clone)]
#[repr(C, align(4096))]
struct Frame([u64; 512]);

/// Addresses of free frames.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Has at least `frames` free frames. They are never given back to the system.
pub(super) fn prepare(frames: usize) {
    let mut free = FREE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let missing = frames.saturating_sub(free.len());
    let more = vec![Frame([0; 512]); missing].leak();
    free.extend(more.iter_mut().map(|frame| (&raw mut frame.0).expose_provenance()));
    debug_assert!(free.iter().all(|frame| number(*frame).is_multiple_of(PAGE)));
}

/// Takes a frame, of any content.
pub(super) fn take() -> Option<usize> {
    FREE.lock().ok()?.pop()
}

/// Gives a frame back.
pub(super) fn give(frame: usize) {
    if let Ok(mut free) = FREE.lock() {
        free.push(frame);
    }
}
