//! `modules`, `modload`, `jit`, `slot` and their like: code that is loaded or made.

use core::fmt;

use blockmap_kernel::monitor::Code;

use super::{Monitor, say};
use crate::console::println;
use crate::memory::executable_areas;
use crate::owners::{jit, modules, slots};

impl Monitor<'_> {
    pub(super) fn code(&self, what: Code<'_>) {
        let system = self.system;
        match what {
            Code::Modules => self.modules(),
            Code::Load(name) => {
                tell(self.counted(|| modules::load(system, self.archive, name)));
            }
            Code::Run(name, argument) => returned(self.counted(|| modules::run(name, argument))),
            Code::Unload(name) => say(self.counted(|| modules::unload(system, name))),
            Code::Jit(programs) => tell(self.counted(|| jit::make(system, programs))),
            Code::JitRun(number) => match jit::run(number) {
                Ok((programs, value)) => {
                    println!(
                        "{programs} programs computed what they should, {value:#018x} at last"
                    );
                }
                Err(error) => println!("refused: {error}"),
            },
            Code::JitFree(number) => say(self.counted(|| jit::free(system, number))),
            Code::Slot(word) => tell(self.counted(|| slots::put(system, word))),
            Code::SlotRun(number, argument) => returned(slots::run(number, argument)),
            Code::SlotFree(number) => say(self.counted(|| slots::free(system, number))),
        }
    }

    /// What there is to load, what is loaded, and where.
    fn modules(&self) {
        for file in self.archive.files() {
            match file {
                Ok(file) => {
                    println!("initial RAM disk: {}, {} bytes", file.name, file.content.len());
                }
                Err(error) => println!("initial RAM disk: {error}"),
            }
        }
        modules::all().for_each(|module| println!("{module}"));
        jit::all().for_each(|pack| println!("{pack}"));
        slots::all().for_each(|slot| println!("{slot}"));
        for area in executable_areas() {
            let (purpose, text, alias, pages) =
                (area.purpose.name(), area.text, area.alias, area.pages);
            println!(
                "area for {purpose}: {text}, {pages} pages in use, in the linear map at {alias}"
            );
        }
    }
}

/// Says what was made.
fn tell<T: fmt::Display, E: fmt::Display>(result: Result<T, E>) {
    match result {
        Ok(made) => println!("{made}"),
        Err(error) => println!("refused: {error}"),
    }
}

/// Says what code returned.
fn returned<E: fmt::Display>(result: Result<u64, E>) {
    match result {
        Ok(value) => println!("returned {value:#018x}"),
        Err(error) => println!("refused: {error}"),
    }
}
