//! A platform without hardware: tables in memory that the caller lends, every effect reported.
//!
//! For tests, examples and tools. Its tables are words like any others, its locks only check that
//! they are used as they should be, and it can be told to run out of tables.

mod platform;
mod words;

use core::cell::Cell;
use core::fmt;

use blockmap_layout::Strategy;
use blockmap_machine::{Entry, Event, Machine, Pattern, PhysAddr, Span, VirtRange};
use blockmap_vmsa::cpu::SizeChange;
use blockmap_vmsa::descriptor::Asids;
use blockmap_vmsa::{Geometry, TlbiForm};

use crate::{NotParked, Platform, Refusal, Scope, Terms};

pub use self::platform::Held;

/// A platform on borrowed memory.
///
/// Tables are named by physical addresses from [`Host::BASE`] up, a granule each, and handed out
/// in that order, freed ones first. Effects are carried out at once, in program order: what a
/// walker could see in between is a model's business.
///
/// # Panics
/// Its methods panic when they are used in a way a platform's user must not: locks taken twice,
/// tables taken that were not reserved, entries outside the tables.
pub struct Host<'m> {
    geometry: Geometry,
    words: &'m [Cell<u64>],
    log: &'m dyn Fn(&Event),
    terms: Cell<Terms>,
    refused: Cell<Option<(VirtRange, Refusal)>>,
    /// What happens on its one CPU when a live leaf changes its size.
    size_change: Cell<SizeChange>,
    /// The CPU that does not come to be parked.
    absent: Cell<Option<u32>>,
    /// How often all come before one does not.
    parkings: Cell<u32>,
    /// Tables that may still be handed out before there are said to be no more.
    allowance: Cell<u32>,
    reserved: Cell<u32>,
    in_use: Cell<u32>,
    unused: Cell<u64>,
    freed: Cell<Option<PhysAddr>>,
    lock: Cell<Option<Scope>>,
    holds: Cell<u32>,
    /// Whether somebody is about to change the terms.
    changing: Cell<bool>,
    readers: Cell<u32>,
    asids: Cell<Asids>,
}

/// The proof that a caller may wait for other CPUs, which a host has none of: [`MAY_PARK`].
#[derive(Clone, Copy, Debug)]
pub struct MayPark(());

/// Every caller of a host may wait for other CPUs.
pub const MAY_PARK: MayPark = MayPark(());

impl<'m> Host<'m> {
    /// Where the first table is.
    pub const BASE: PhysAddr = PhysAddr::new(0x4000_0000);

    /// A platform for trees of `geometry` with as many tables as fit into `words`, on which every
    /// CPU changes sizes quietly and acts on range invalidations. `log` is told every effect.
    #[must_use]
    pub fn new(geometry: Geometry, words: &'m [Cell<u64>], log: &'m dyn Fn(&Event)) -> Self {
        Self {
            geometry,
            words,
            log,
            terms: Cell::new(Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged }),
            refused: Cell::new(None),
            size_change: Cell::new(SizeChange::NeedsBreak),
            absent: Cell::new(None),
            parkings: Cell::new(0),
            allowance: Cell::new(u32::MAX),
            reserved: Cell::new(0),
            in_use: Cell::new(0),
            unused: Cell::new(0),
            freed: Cell::new(None),
            lock: Cell::new(None),
            holds: Cell::new(0),
            changing: Cell::new(false),
            readers: Cell::new(0),
            asids: Cell::new(Asids::Every),
        }
    }

    /// Makes `terms` the terms in force.
    pub fn set_terms(&self, terms: Terms) {
        assert_eq!(self.holds.get(), 0, "the terms change while a plan holds them");
        self.terms.set(terms);
    }

    /// Somebody is about to change the terms from now on: who comes to hold them waits.
    pub fn begin_change_of_terms(&self) {
        assert!(!self.changing.replace(true), "a second change would wait for ever");
    }

    /// Nobody is about to change the terms any more.
    pub fn end_change_of_terms(&self) {
        assert!(self.changing.replace(false), "no change had begun");
    }

    /// Makes [`Platform::refusal`] refuse every range that overlaps `range`, because of `why`.
    pub fn refuse(&self, range: VirtRange, why: Refusal) {
        self.refused.set(Some((range, why)));
    }

    /// Sets what happens on the one CPU that is not parked when a live leaf changes its size; until
    /// then it needs a break.
    pub fn set_size_change(&self, size_change: SizeChange) {
        self.size_change.set(size_change);
    }

    /// Has leaves that are made from here on belong to these ASIDs.
    pub fn set_asids(&self, asids: Asids) {
        self.asids.set(asids);
    }

    /// Has this CPU not arrive when it should be parked, from now on.
    pub fn keep_from_parking(&self, cpu: Option<u32>) {
        self.keep_from_parking_after(0, cpu);
    }

    /// Has this CPU arrive so many times more when it should be parked, and then not.
    pub fn keep_from_parking_after(&self, parkings: u32, cpu: Option<u32>) {
        self.parkings.set(parkings);
        self.absent.set(cpu);
    }

    /// Has other CPUs come to be parked, and tells what happens on the one that is not when a live leaf
    /// changes its size: what a platform with a machine of its own around this one's needs of it in its
    /// [`Platform::quiesce`].
    ///
    /// # Errors
    /// A CPU does not come; nothing has changed.
    pub fn park(&self) -> Result<SizeChange, NotParked> {
        if let Some(cpu) = self.absent.get() {
            match self.parkings.get().checked_sub(1) {
                Some(left) => self.parkings.set(left),
                None => return Err(NotParked { cpu }),
            }
        }
        Ok(self.size_change.get())
    }

    /// Lets no more than `tables` further tables be handed out.
    pub fn limit_tables(&self, tables: u32) {
        self.allowance.set(tables);
    }

    /// How many tables are handed out.
    #[must_use]
    pub fn tables_in_use(&self) -> u32 {
        self.in_use.get()
    }

    /// Takes a table, empties it and hands it out as a root.
    ///
    /// # Errors
    /// `None` if there is none.
    #[must_use]
    pub fn new_root(&self) -> Option<PhysAddr> {
        self.reserve(1).ok()?;
        let table = self.take_table();
        let entries = self.geometry.granule().entries();
        for index in 0..entries {
            self.word(Entry { table, index }).set(0);
        }
        Some(table)
    }

    /// Panics if a plan has kept something it should have given back.
    pub fn assert_idle(&self) {
        assert!(self.lock.get().is_none(), "a lock is held");
        assert_eq!(self.holds.get(), 0, "the terms are held");
        assert_eq!(self.reserved.get(), 0, "tables are set aside");
        assert_eq!(self.readers.get(), 0, "a reader is there");
    }

    /// How many tables can still be set aside.
    fn available(&self) -> u32 {
        let words = u64::try_from(self.words.len()).unwrap_or(u64::MAX);
        let most = words / u64::from(self.geometry.granule().entries());
        let free = u32::try_from(most).unwrap_or(u32::MAX) - self.in_use.get();
        free.min(self.allowance.get()) - self.reserved.get()
    }

    /// Keeps a table to be handed out again.
    fn keep_free(&self, table: PhysAddr) {
        let next = self.freed.replace(Some(table)).map_or(0, PhysAddr::value);
        self.word(Entry { table, index: 0 }).set(next);
        self.in_use.set(self.in_use.get() - 1);
    }

    /// Where an entry's word is kept.
    #[inline]
    fn word(&self, entry: Entry) -> &'m Cell<u64> {
        let number = word_number(entry);
        match self.words.get(number) {
            Some(word) => word,
            None => no_entry(number),
        }
    }

    /// Where the words of some entries of one table are kept.
    #[inline]
    fn words_of(&self, span: Span) -> &'m [Cell<u64>] {
        let first = word_number(Entry { table: span.table, index: span.first });
        let from = self.words.get(first..);
        match from.and_then(|words| words.get(..usize::from(span.count))) {
            Some(words) => words,
            None => no_entry(first),
        }
    }
}

/// The number of an entry's word among those of all tables; more than there are for one below them.
#[inline]
fn word_number(entry: Entry) -> usize {
    let from_zero = entry.table.value() / 8 + u64::from(entry.index);
    usize::try_from(from_zero.wrapping_sub(Host::BASE.value() / 8)).unwrap_or(usize::MAX)
}

#[cold]
#[inline(never)]
fn no_entry(number: usize) -> ! {
    let bytes = u64::try_from(number).unwrap_or(u64::MAX).wrapping_mul(8);
    panic!("{}: beyond the entries of this host's tables", Host::BASE.wrapping_add(bytes))
}

#[expect(
    clippy::inline_always,
    reason = "with an event built in the argument, little is left of it"
)]
impl Machine for Host<'_> {
    #[inline]
    fn load(&self, entry: Entry) -> u64 {
        self.word(entry).get()
    }

    fn read(&self, first: Entry, words: &mut [u64]) {
        let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
        for (word, kept) in words.iter_mut().zip(self.words_of(first.span(count))) {
            *word = kept.get();
        }
    }

    #[inline]
    fn scan(&self, span: Span, pattern: Pattern) -> u16 {
        u16::try_from(words::matching(self.words_of(span), pattern)).unwrap_or(span.count)
    }

    #[inline(always)]
    fn perform(&self, event: Event) {
        match event {
            Event::Store { entry, value } => self.word(entry).set(value),
            Event::Fill { span, value, step } => words::fill(self.words_of(span), value, step),
            Event::Update { span, clear, set } => words::update(self.words_of(span), clear, set),
            Event::Barrier(_) | Event::Invalidate(_) | Event::Maintain { .. } => {}
        }
        (self.log)(&event);
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("geometry", &self.geometry)
            .field("tables_in_use", &self.in_use)
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}
