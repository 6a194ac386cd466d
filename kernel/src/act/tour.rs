//! `tour`: a walk for a person, from a map in blocks through a module's life and back.

use core::fmt::{self, Write};

use blockmap::dump::{Style, Tree};
use blockmap::machine::{VirtAddr, VirtRange};
use blockmap_kernel::monitor::{Code, Command, Heal, Scope, Secret};

use super::Monitor;
use crate::console::println;
use crate::memory::{LINEAR, MARKERS};
use crate::owners::{modules, secret};

/// All that the linear map says, in one number, and how many tables it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    hash: u64,
    tables: u64,
}

impl Monitor<'_> {
    /// Shows what becomes of the linear map while a module comes, runs and goes.
    pub(super) fn tour(&self) {
        let Some(name) = self.archive.files().flatten().map(|file| file.name).next() else {
            return println!("refused: the initial RAM disk has no module to load");
        };
        let before = self.picture();
        self.show(
            "The linear map: all memory, in the largest leaves that it has room for.",
            format_args!("ptdump linear"),
            Command::Ptdump(Scope::Linear),
        );
        self.show(
            "A module is loaded. Nothing may write its code, through the linear map neither.",
            format_args!("modload {name}"),
            Command::Code(Code::Load(name)),
        );
        if let Some(module) = modules::all().last() {
            self.tour_of(name, (module.entry(), module.alias()));
        }
        self.show(
            "A page is taken out of the linear map for an owner: the block it is in is split.",
            format_args!("secret 1"),
            Command::Secret(Secret::Take(1, None)),
        );
        if let Some(secret) = secret::list().last() {
            self.tour_of_secret(secret.number);
        }
        self.show(
            "The module is unloaded: its memory grants what it did before it came.",
            format_args!("modunload {name}"),
            Command::Code(Code::Unload(name)),
        );
        self.show(
            "Leaves that say the same become the leaf that they were.",
            format_args!("heal"),
            Command::Heal(Heal::Queued),
        );
        self.show(
            "The linear map again.",
            format_args!("ptdump linear"),
            Command::Ptdump(Scope::Linear),
        );
        self.say_whether_as(before);
    }

    /// What there is to see of a module while it is there.
    fn tour_of(&self, name: &str, (entry, alias): (VirtAddr, Option<VirtAddr>)) {
        self.show("It runs.", format_args!("modrun {name}"), Command::Code(Code::Run(name, 0)));
        self.show(
            "Its code can't be written where it is executed,",
            format_args!("poke {entry} 0"),
            Command::Poke(entry, 0),
        );
        if let Some(alias) = alias {
            self.show(
                "nor where the linear map shows it.",
                format_args!("poke {alias} 0"),
                Command::Poke(alias, 0),
            );
        }
        self.show(
            "It still runs.",
            format_args!("modrun {name}"),
            Command::Code(Code::Run(name, 0)),
        );
    }

    /// What there is to see of a secret while it is there.
    fn tour_of_secret(&self, number: u32) {
        self.show(
            "Only around that page leaves are smaller, and no smaller than they have to be.",
            format_args!("ptdump linear"),
            Command::Ptdump(Scope::Linear),
        );
        if let Some(page) = secret::pieces(number).next().map(VirtRange::start) {
            self.show("Nobody reads it there.", format_args!("peek {page}"), Command::Peek(page));
        }
        self.show(
            "It is given back.",
            format_args!("secret free {number}"),
            Command::Secret(Secret::Free(number)),
        );
    }

    /// Says what is about to be shown, the command that shows it, and what comes of that.
    fn show(&self, says: &str, typed: fmt::Arguments<'_>, command: Command<'_>) {
        println!("\n# {says}\nblockmap> {typed}");
        self.carry_out(command);
    }

    /// Says whether the linear map is what it was.
    pub(super) fn say_whether_as(&self, before: Picture) {
        let now = self.picture();
        if now == before {
            println!("The linear map is as it was, in {} tables.", now.tables);
        } else {
            println!(
                "The linear map is not as it was: {} tables then, {} now.",
                before.tables, now.tables
            );
        }
    }

    /// What the linear map looks like now.
    pub(super) fn picture(&self) -> Picture {
        let space = self.system.space();
        let reader = space.reader();
        let tree = Tree::new(space.geometry(), space.root(), &reader).within(LINEAR);
        let mut hash = Hash(FNV_OFFSET);
        // A number takes every byte.
        let _ = tree.ptdump(Style { mair: self.mair(), markers: &MARKERS }, &mut hash);
        Picture { hash: hash.0, tables: tree.stat().tables() }
    }
}

/// FNV-1a: enough to tell two texts apart that nobody made alike on purpose.
struct Hash(u64);

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        self.0 = text.bytes().fold(self.0, step);
        Ok(())
    }
}
