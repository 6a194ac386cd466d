//! Pinned windows: tables reached outside the linear map, whatever is broken there.
//!
//! Two pages of the image's addresses, in the gap below the boot stack, are pointed at the tables
//! whose entries are stored while CPUs are parked, before they are; and at nothing afterwards.

use blockmap::machine::{
    Barrier, Entry, Event, Machine, Pattern, PhysAddr, Span, VirtAddr, VirtRange,
};
use blockmap::vmsa::descriptor::Asids;
use blockmap::vmsa::{
    Access, Attributes, Geometry, Kind, Leaves, Level, Mair, Reach, Shareability,
};
use blockmap::{Mapping, Switch};
use blockmap_hw::{Cpu, Window};
use blockmap_kernel::trace::Record;

use super::recorded::Recorded;
use crate::arch::image;

const GEOMETRY: Geometry = Geometry::KERNEL_4K_48;

/// The tables of a switch, in windows. Holding one tells that nobody else uses the windows: there is
/// one under the parking lock.
pub(super) struct Pinned<'a> {
    cpu: &'a Recorded<'a>,
    /// The level 3 table that maps the windows.
    level3: PhysAddr,
    /// Where there is one table, twice the same.
    windows: [(PhysAddr, Cpu); Switch::MOST_TABLES],
    /// How many tables there are.
    count: usize,
}

/// The index of the root's entry that leads to the windows.
pub(super) fn root_index() -> u16 {
    GEOMETRY.index(Level::L0, image::windows())
}

/// Finds the level 3 table that maps the windows, below `root`; `None` if there is none.
pub(super) fn level3_table(cpu: &Recorded<'_>, root: PhysAddr) -> Option<PhysAddr> {
    level3_below(cpu, cpu.load(Entry { table: root, index: root_index() }))
}

/// The same below an entry of a root.
pub(super) fn level3_below(cpu: &Recorded<'_>, mut word: u64) -> Option<PhysAddr> {
    let table_of = |level, word| {
        (GEOMETRY.kind(level, word) == Kind::Table).then(|| GEOMETRY.table_address(word))
    };
    for (level, below) in [(Level::L0, Level::L1), (Level::L1, Level::L2)] {
        let table = table_of(level, word)?;
        word = cpu.load(Entry { table, index: GEOMETRY.index(below, image::windows()) });
    }
    table_of(Level::L2, word)
}

impl<'a> Pinned<'a> {
    /// Points the windows at the tables of `switch`, for the CPU that executes this.
    pub(super) fn new(
        cpu: &'a Recorded<'a>,
        (level3, asids): (PhysAddr, Asids),
        switch: &Switch,
    ) -> Self {
        let mut tables = [None; Switch::MOST_TABLES];
        tables.iter_mut().zip(switch.tables()).for_each(|(place, table)| *place = Some(table));
        let attributes = Attributes {
            memory: Mair::NORMAL,
            shareability: Shareability::Inner,
            access: Access::ReadWrite,
        };
        let meaning = GEOMETRY.meaning(attributes) | asids.leaf_bit();
        for (table, window) in tables.into_iter().flatten().zip(addresses()) {
            let value = GEOMETRY.leaf_word(Level::L3, table, meaning);
            if let Some(range) = page(window) {
                let mapping = Mapping { range, output: table, attributes, leaves: Leaves::Pages };
                cpu.recording().intend_map(GEOMETRY, mapping);
            }
            cpu.perform(Event::Store { entry: entry(level3, window), value });
        }
        // The windows were invalid and nothing of them is in a TLB. [invalid-is-never-cached]
        cpu.perform(Event::Barrier(Barrier::DsbIshst));
        cpu.perform(Event::Barrier(Barrier::Isb));
        cpu.recording().add(Record::Achieved);
        let count = tables.iter().flatten().count();
        let [first, second] = tables;
        // INVARIANT: a switch has a table, or it stores nothing.
        let first = (first.unwrap_or(PhysAddr::new(0)), image::windows());
        let window = image::windows().wrapping_add(GEOMETRY.page_bytes());
        let second = second.map_or(first, |table| (table, window));
        let windows = [first, second].map(|(table, window)| {
            let offset = window.value().wrapping_sub(table.value());
            // SAFETY: the window maps the table until this value is gone, and reaches nothing else;
            // its user stores to the table what the system's own `Cpu` would.
            (table, unsafe { Cpu::new(Window::Linear { offset }) })
        });
        Self { cpu, level3, windows, count }
    }

    /// How `table` is reached.
    #[inline]
    fn of(&self, table: PhysAddr) -> &Cpu {
        match &self.windows {
            [(pinned, cpu), _] | [_, (pinned, cpu)] if *pinned == table => cpu,
            _ => self.cpu.silent(),
        }
    }

    /// The same machine without an account: for who knows that none is kept.
    pub(super) const fn silent(&self) -> Silent<'_, 'a> {
        Silent(self)
    }

    #[cold]
    #[inline(never)]
    fn record(&self, event: Event) {
        self.cpu.recording().add(Record::Event(event));
    }
}

impl Drop for Pinned<'_> {
    /// Everybody runs again.
    fn drop(&mut self) {
        for window in addresses().take(self.count) {
            if let Some(range) = page(window) {
                self.cpu.recording().intend_unmap(range);
            }
            self.cpu.perform(Event::Store { entry: entry(self.level3, window), value: 0 });
        }
        self.cpu.perform(Event::Barrier(Barrier::DsbIshst));
        for window in addresses().take(self.count) {
            let invalidate = GEOMETRY.invalidate_address(window, Reach::LastLevel);
            self.cpu.perform(Event::Invalidate(invalidate));
        }
        self.cpu.perform(Event::Barrier(Barrier::DsbIsh));
        self.cpu.perform(Event::Barrier(Barrier::Isb));
        self.cpu.recording().add(Record::Achieved);
    }
}

impl Machine for Pinned<'_> {
    fn load(&self, entry: Entry) -> u64 {
        self.silent().load(entry)
    }

    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        self.silent().scan(span, pattern)
    }

    fn perform(&self, event: Event) {
        self.record(event);
        self.silent().perform(event);
    }
}

/// The windows, with no account of what is done through them.
pub(super) struct Silent<'p, 'a>(&'p Pinned<'a>);

#[expect(clippy::inline_always, reason = "all others are parked meanwhile")]
impl Machine for Silent<'_, '_> {
    #[inline(always)]
    fn load(&self, entry: Entry) -> u64 {
        self.0.of(entry.table).load(entry)
    }

    #[inline(always)]
    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        self.0.of(span.table).scan(span, pattern)
    }

    #[inline(always)]
    fn perform(&self, event: Event) {
        let cpu = match event {
            Event::Store { entry, .. } => self.0.of(entry.table),
            Event::Fill { span, .. } | Event::Update { span, .. } => self.0.of(span.table),
            Event::Barrier(_) | Event::Invalidate(_) | Event::Maintain { .. } => {
                self.0.cpu.silent()
            }
        };
        cpu.perform(event);
    }
}

/// The windows' addresses.
fn addresses() -> impl Iterator<Item = VirtAddr> {
    let page = GEOMETRY.page_bytes();
    [0, page].into_iter().map(|offset| image::windows().wrapping_add(offset))
}

/// The addresses of one window.
fn page(window: VirtAddr) -> Option<VirtRange> {
    VirtRange::new(window, GEOMETRY.page_bytes())
}

fn entry(table: PhysAddr, window: VirtAddr) -> Entry {
    Entry { table, index: GEOMETRY.index(Level::L3, window) }
}
