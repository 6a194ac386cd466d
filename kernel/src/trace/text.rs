//! A trace as text: a program that `blockmap-model` reads and judges.
//!
//! The heading says what is recorded and what the tables held before; then there is a line for
//! every record: an effect as `blockmap_machine::trace` reads it, the beginning or the end of an
//! operation, a table that is given back, what one CPU does that another waits for. Each CPU's
//! lines are in its own order. Everything else is a comment, which begins with `#`.

mod steps;
mod turns;

use core::fmt;

use blockmap::Terms;
use blockmap::layout::Rodata;
use blockmap::machine::{Event, PhysAddr};
use blockmap::vmsa::cpu::{Midr, SizeChange};
use blockmap::vmsa::{Format, Geometry, Granule, Half, Mair, Regime, TlbiForm};

use super::{Held, Member, Record, Recording};
use steps::{Among, Steps};

/// What was recorded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The shape of the tables.
    pub geometry: Geometry,
    /// The root table.
    pub root: PhysAddr,
    /// The memory types.
    pub mair: Mair,
    /// Where the image is in memory.
    pub load: PhysAddr,
    /// Whether what is executed may be written through an alias.
    pub rodata: Rodata,
    /// The CPU.
    pub midr: Midr,
    /// What it does when a live leaf changes its size.
    pub size_change: SizeChange,
    /// How leaves change their size, and how TLBs are invalidated.
    pub terms: Terms,
}

/// Prints a recording as text that can be read back. Nothing may be recorded meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct TraceText<'a> {
    /// What was recorded.
    pub recording: &'a Recording<'a>,
    /// Where.
    pub origin: Origin,
}

impl fmt::Display for TraceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.comments(f)?;
        self.heading(f)?;
        let mut first = 0;
        for record in self.recording.records() {
            let Record::Held(Held { span, value, step }) = record else { break };
            writeln!(f, "initially {}", Event::Fill { span, value, step })?;
            first += 1;
        }
        let among = if self.cpus() > 1 { Among::Others } else { Among::Alone };
        for cpu in 0..self.cpus() {
            writeln!(f, "\ncpu {cpu}:")?;
            if cpu == 0 || self.member(cpu).is_some() {
                Steps::new(self.recording, (cpu, among), first).fmt(f)?;
            } else {
                writeln!(f, "# it never uses the tables\ncontext other")?;
            }
        }
        match self.recording.dropped() {
            0 => Ok(()),
            dropped => writeln!(f, "# {dropped} records more were dropped here"),
        }
    }
}

impl TraceText<'_> {
    /// What a person wants to know, and a reader does not.
    fn comments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { load, midr, terms, .. } = self.origin;
        writeln!(f, "# blockmap trace")?;
        writeln!(f, "# image: loaded at {load}")?;
        writeln!(f, "# CPU: {midr}, MIDR {:#010x}", midr.value())?;
        writeln!(f, "# strategy: {:?}; TLB invalidation: {:?}", terms.strategy, terms.tlbi)?;
        let is_event = |record: &Record| matches!(record, Record::Event(_));
        let records = self.recording.records().count();
        let events = self.recording.records().filter(is_event).count();
        let dropped = self.recording.dropped();
        writeln!(f, "# events: {events}; other records: {}", records.saturating_sub(events))?;
        write!(f, "# dropped records: {dropped}")?;
        match dropped {
            0 => writeln!(f),
            _ => writeln!(f, ", all after those below; a larger trace=EVENTS has room for more"),
        }
    }

    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { geometry, root, mair, rodata, size_change, terms, .. } = self.origin;
        let (input, output) = (geometry.input_bits(), geometry.output_bits());
        let (granule, format) = (granule_word(geometry), format_word(geometry));
        let (regime, half) = (regime_word(geometry), half_word(geometry));
        writeln!(f, "geometry {granule} {format} {input} {output} {regime} {half}")?;
        writeln!(f, "root {root}")?;
        write!(f, "types")?;
        mair.value().to_le_bytes().iter().try_for_each(|byte| write!(f, " {byte:#x}"))?;
        let aliases = match rodata {
            Rodata::On => "apart",
            Rodata::NoAlias | Rodata::Off => "mixed",
        };
        let cpus = self.cpus();
        writeln!(f, "\naliases {aliases}\ncpus {cpus}")?;
        profile(f, 0, (size_change, terms.tlbi))?;
        for member in (1..cpus).filter_map(|cpu| self.member(cpu)) {
            profile(f, member.cpu, (member.size_change, member.tlbi))?;
        }
        Ok(())
    }

    /// One more than the highest number of a CPU that ever uses the tables.
    fn cpus(&self) -> u16 {
        let members = self.members().map(|member| u16::try_from(member.cpu).unwrap_or(0));
        members.max().unwrap_or(0).saturating_add(1)
    }

    fn members(&self) -> impl Iterator<Item = Member> {
        self.recording.records().filter_map(|record| match record {
            Record::Edge(edge) => edge.member(),
            Record::Event(_)
            | Record::Taken(_)
            | Record::Freed(_)
            | Record::Held(_)
            | Record::Intend(_)
            | Record::Achieved
            | Record::Refused
            | Record::Code(_)
            | Record::Aside
            | Record::Back
            | Record::Note(_)
            | Record::More(_) => None,
        })
    }

    /// What a CPU is, if it ever uses the tables.
    fn member(&self, cpu: u16) -> Option<Member> {
        self.members().find(|member| member.cpu == u32::from(cpu))
    }
}

fn profile(
    f: &mut fmt::Formatter<'_>,
    cpu: u32,
    (size_change, tlbi): (SizeChange, TlbiForm),
) -> fmt::Result {
    let size = match size_change {
        SizeChange::NeedsBreak => "needs-break",
        SizeChange::MayAbort => "may-abort",
        SizeChange::Quiet => "quiet",
    };
    let ranges = match tlbi {
        TlbiForm::ByAddress => "no",
        TlbiForm::Ranged => "yes",
    };
    writeln!(f, "profile {cpu} size={size} ranges={ranges}")
}

const fn granule_word(geometry: Geometry) -> &'static str {
    match geometry.granule() {
        Granule::Kib4 => "4k",
        Granule::Kib16 => "16k",
        Granule::Kib64 => "64k",
    }
}

const fn format_word(geometry: Geometry) -> &'static str {
    match geometry.format() {
        Format::Base => "base",
        Format::Lpa => "lpa",
        Format::Lpa2 => "lpa2",
    }
}

const fn regime_word(geometry: Geometry) -> &'static str {
    match geometry.regime() {
        Regime::El1And0 => "el1",
        Regime::El2 => "el2",
        Regime::El2And0 => "el2host",
        Regime::El3 => "el3",
    }
}

const fn half_word(geometry: Geometry) -> &'static str {
    match geometry.half() {
        Half::Lower => "lower",
        Half::Upper => "upper",
    }
}
