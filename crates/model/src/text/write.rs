//! Writing programs as text.

use std::fmt;

use crate::profile::{
    Forwarding, Invalidation, Profile, Runs, Several, SizeChange, Synchronisation, WalkCache,
};
use crate::program::{Aliases, Context, Intent, Meanwhile, Part, Program, Step, Target};
use crate::shape::{Format, Granule, Half, Regime, Shape, Updates};

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granule = match self.granule {
            Granule::Kib4 => "4k",
            Granule::Kib16 => "16k",
            Granule::Kib64 => "64k",
        };
        let format = match self.format {
            Format::Base => "base",
            Format::Lpa => "lpa",
            Format::Lpa2 => "lpa2",
        };
        let regime = match self.regime {
            Regime::El1 => "el1",
            Regime::El2 => "el2",
            Regime::El2Host => "el2host",
            Regime::El3 => "el3",
        };
        let half = match self.half {
            Half::Lower => "lower",
            Half::Upper => "upper",
        };
        let (input, output) = (self.input_bits, self.output_bits);
        write!(f, "{granule} {format} {input} {output} {regime} {half}")
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.size_change {
            SizeChange::NeedsBreak => "needs-break",
            SizeChange::MayAbort => "may-abort",
            SizeChange::Quiet => "quiet",
        };
        let ets = match self.synchronisation {
            Synchronisation::Context => "0",
            Synchronisation::Ets2 => "2",
            Synchronisation::Ets3 => "3",
        };
        let walk_cache = match self.walk_cache {
            WalkCache::ByInput => "input",
            WalkCache::ByPlace => "place",
        };
        let ranges = match self.invalidation {
            Invalidation::ByAddress => "no",
            Invalidation::Ranged => "yes",
        };
        let runs = match self.runs {
            Runs::Cached => "yes",
            Runs::Ignored => "no",
        };
        let several = match self.several {
            Several::AllRemoved => "all",
            Several::NoneRemoved => "none",
        };
        let forwarding = match self.forwarding {
            Forwarding::None => "no",
            Forwarding::ToOwnWalker => "yes",
        };
        write!(f, "size={size} ets={ets} walk-cache={walk_cache} ranges={ranges} ")?;
        write!(f, "runs={runs} several={several} forwarding={forwarding}")
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "intend {} ", self.range)?;
        match self.target {
            Target::Unmapped => f.write_str("unmapped")?,
            Target::Rights(rights) => write!(f, "rights {rights}")?,
            Target::Mapped(translation) => write!(f, "output {translation}")?,
        }
        match self.meanwhile {
            Meanwhile::Accessible => Ok(()),
            Meanwhile::Idle => f.write_str(" idle"),
            Meanwhile::Later => f.write_str(" later"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(event) => event.fmt(f),
            Self::Intend(intent) => intent.fmt(f),
            Self::Achieved => f.write_str("achieved"),
            Self::Free(table) => write!(f, "free {table}"),
            Self::Use(range) => write!(f, "use {range}"),
            Self::Part(entry, Part::Low, bits) => write!(f, "store-low {entry} {bits:#x}"),
            Self::Part(entry, Part::High, bits) => write!(f, "store-high {entry} {bits:#x}"),
            Self::Code(range) => write!(f, "code {range}"),
            Self::PastCaches(range) => write!(f, "past-caches {range}"),
            Self::Lock { name, turn: None } => write!(f, "lock {name}"),
            Self::Lock { name, turn: Some(turn) } => write!(f, "lock {name} {turn}"),
            Self::Unlock(name) => write!(f, "unlock {name}"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Wait(name, count) => write!(f, "wait {name} {count}"),
            Self::Context(Context::Live) => f.write_str("context live"),
            Self::Context(Context::Reserved) => f.write_str("context reserved"),
            Self::Context(Context::Other) => f.write_str("context other"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "geometry {}", self.shape)?;
        writeln!(f, "root {}", self.root)?;
        f.write_str("types")?;
        for byte in self.types {
            write!(f, " {byte:#x}")?;
        }
        let aliases = match self.aliases {
            Aliases::Apart => "apart",
            Aliases::Mixed => "mixed",
        };
        let updates = match self.shape.updates {
            Updates::BySoftware => "software",
            Updates::ByHardware => "hardware",
        };
        writeln!(f, "\naliases {aliases}\nupdates {updates}\ncpus {}", self.cpus.len())?;
        for (number, cpu) in self.cpus.iter().enumerate() {
            writeln!(f, "profile {number} {}", cpu.profile)?;
        }
        for event in &self.initially {
            writeln!(f, "initially {event}")?;
        }
        for (number, cpu) in self.cpus.iter().enumerate() {
            writeln!(f, "\ncpu {number}:")?;
            for step in &cpu.steps {
                writeln!(f, "{step}")?;
            }
        }
        Ok(())
    }
}
