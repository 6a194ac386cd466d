//! Signals that ask the program to end, held back while a machine is stopped on its behalf.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// What the handlers look at. They stay installed: a handler that is taken away again would leave
/// the signal ignored.
#[derive(Debug)]
struct Handlers {
    /// How many values hold signals back.
    holders: AtomicUsize,
    /// Whether a signal does what it does by default.
    is_deadly: Arc<AtomicBool>,
    came: Arc<AtomicBool>,
}

static HANDLERS: OnceLock<Handlers> = OnceLock::new();

/// While one lives, SIGINT, SIGTERM and SIGHUP do not end the program: whoever waits asks
/// [`Interrupts::came`], lets the machine go, and ends with an error.
#[derive(Debug)]
pub(crate) struct Interrupts(&'static Handlers);

impl Interrupts {
    /// Holds signals back, where the system allows it.
    pub(crate) fn held() -> Self {
        let handlers = HANDLERS.get_or_init(|| {
            let handlers = Handlers {
                holders: AtomicUsize::new(0),
                is_deadly: Arc::new(AtomicBool::new(false)),
                came: Arc::new(AtomicBool::new(false)),
            };
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                let is_deadly = Arc::clone(&handlers.is_deadly);
                // A signal that can't be caught ends the program as it always did.
                let _ = flag::register_conditional_default(signal, is_deadly);
                let _ = flag::register(signal, Arc::clone(&handlers.came));
            }
            handlers
        });
        handlers.holders.fetch_add(1, Ordering::SeqCst);
        handlers.is_deadly.store(false, Ordering::SeqCst);
        Self(handlers)
    }

    /// Whether a signal came.
    pub(crate) fn came(&self) -> bool {
        self.0.came.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        if self.0.holders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.is_deadly.store(true, Ordering::SeqCst);
        }
    }
}
