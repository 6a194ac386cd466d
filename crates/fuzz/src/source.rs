//! Files that are said to hold a kernel's memory: dumps, images of RAM, snapshots, texts.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::thread;

use blockmap::machine::{PhysAddr, VirtAddr};
use blockmap_inspect::{Inspected, Names, OpenError, Overrides, Search, SourceSpec, open};

/// Runs of a tree that are looked at.
const MOST_RUNS: usize = 4096;

/// A file that goes when the value does.
struct Held(PathBuf);

impl Held {
    /// A file with these bytes, which only this thread has.
    fn new(bytes: &[u8]) -> Option<Self> {
        let name = format!("blockmap-fuzz-{}-{:?}", process::id(), thread::current().id());
        let held = Self(std::env::temp_dir().join(name));
        fs::write(&held.0, bytes).ok()?;
        Some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What is left would be in a folder for such things.
        drop(fs::remove_file(&self.0));
    }
}

/// Opens the file, by what is in it or as an image of RAM, and looks at what was found. A refusal
/// says something; what is found can be kept as a snapshot, and that be opened.
pub(crate) fn feed(input: &[u8]) {
    let Some((way, content)) = input.split_first() else { return };
    let overrides = Overrides {
        names: Names::Read,
        search: if way & 1 == 0 { Search::WhenQuick } else { Search::Always },
        root: (way & 2 != 0).then_some(PhysAddr::new(0x4000_1000)),
        tcr: (way & 4 != 0).then_some(0x0000_0005_b510_3510),
        ..Overrides::default()
    };
    let base = if way & 8 == 0 { "" } else { "@0x40000000" };
    match opened(content, base, &overrides) {
        Some(Ok(inspected)) => {
            look_at(&inspected);
            let again = opened(&inspected.snapshot(), "", &overrides);
            let again = again.map(|again| again.expect("a snapshot that was just made opens"));
            assert!(again.is_none_or(|again| again.trees == inspected.trees));
        }
        Some(Err(error)) => assert!(error.to_string().len() > 10),
        None => {}
    }
}

/// What opening a file with these bytes gives; nothing if there can be no file.
fn opened(bytes: &[u8], base: &str, overrides: &Overrides) -> Option<Result<Inspected, OpenError>> {
    let file = Held::new(bytes)?;
    let spec: SourceSpec = format!("{}{base}", file.0.display()).parse().ok()?;
    Some(open(&spec, overrides))
}

fn look_at(inspected: &Inspected) {
    let reader = inspected.reader();
    let symbols = inspected.symbols.as_ref();
    for found in &inspected.trees {
        for run in found.tree(&reader).runs().take(MOST_RUNS) {
            let place = symbols.and_then(|symbols| symbols.at(run.range.start()));
            assert!(place.is_none_or(|place| !place.name.is_empty()));
        }
    }
    let place = symbols.and_then(|symbols| symbols.at(VirtAddr::new(0xffff_8000_8000_1000)));
    assert!(place.is_none_or(|place| place.name.is_ascii()));
}
