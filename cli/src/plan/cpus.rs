//! The CPUs that a plan is for, and how they make a kernel boot.

use std::fs;

use anyhow::{Context as _, Result, bail};
use blockmap_dump::vmsa::Leaves;
use blockmap_dump::vmsa::cpu::{ATTESTED, Midr, SizeChange, Why, size_change};
use blockmap_layout::{Admitted, Answer, Inputs, SizeChoice, Strategy, decide};
use serde::Serialize;

use crate::number::{Hex, number};

/// CPUs of one design and release.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cpu {
    /// The value of `MIDR_EL1`.
    pub(crate) midr: Hex,
    /// The design's name and release.
    pub(crate) name: String,
    /// How many of them.
    pub(crate) count: u64,
    /// What happens when a live leaf changes its size: `quiet`, `may-abort` or `needs-break`.
    pub(crate) size_change: &'static str,
    /// How that is known.
    pub(crate) why: String,
    #[serde(skip)]
    change: SizeChange,
}

/// What the linear map looks like on a machine with such CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Painted in blocks.
    Blocks,
    /// Painted in pages.
    Pages,
    /// Painted in blocks for the boot CPU, and repainted to pages for one of the others.
    Repainted,
}

/// The CPUs, the boot CPU's kind first.
#[derive(Clone, Debug)]
pub(crate) struct Cpus(pub(crate) Vec<Cpu>);

impl Cpus {
    /// CPUs as they are typed: a design's name with or without a release, or a MIDR. `bbm` is what
    /// `ID_AA64MMFR2_EL1.BBM` holds on all of them.
    ///
    /// # Errors
    /// A name is not known.
    pub(crate) fn typed(names: &[String], bbm: u8) -> Result<Self> {
        let midrs: Result<Vec<_>> = names.iter().map(|name| midr(name)).collect();
        Ok(Self::of(&midrs?, bbm))
    }

    /// The CPUs that `/proc/cpuinfo`, or a copy of it at `path`, lists.
    ///
    /// # Errors
    /// It can't be read, or lists no arm64 CPUs.
    pub(crate) fn listed(path: &str, bbm: u8) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let midrs = cpuinfo(&text);
        if midrs.is_empty() {
            bail!("{path} lists no arm64 CPUs: it has no lines `CPU part`");
        }
        Ok(Self::of(&midrs, bbm))
    }

    fn of(midrs: &[Midr], bbm: u8) -> Self {
        let mut cpus: Vec<Cpu> = Vec::new();
        for &midr in midrs {
            let value = Hex(u64::from(midr.value()));
            if let Some(known) = cpus.iter_mut().find(|cpu| cpu.midr == value) {
                known.count += 1;
                continue;
            }
            let (change, why) = size_change(midr, u64::from(bbm) << 52);
            let size_change = match change {
                SizeChange::Quiet => "quiet",
                SizeChange::MayAbort => "may-abort",
                SizeChange::NeedsBreak => "needs-break",
            };
            let why = reason(midr, why);
            cpus.push(Cpu {
                midr: value,
                name: midr.to_string(),
                count: 1,
                size_change,
                why,
                change,
            });
        }
        Self(cpus)
    }

    /// How the map is painted with these CPUs, and why; `inputs` has everything but the strategy.
    pub(crate) fn mode(&self, inputs: Inputs) -> (Mode, String) {
        // What Linux does, which parks nobody to split.
        let alone = |boot| Admitted { boot, others: None, answer: Answer::Final };
        let strategy = |boot| Strategy::of(SizeChoice::Never, alone(boot));
        let with = |change| decide(Inputs { strategy: strategy(change), ..inputs });
        let boot = self.0.first().map_or(SizeChange::NeedsBreak, |cpu| cpu.change);
        let first = with(boot);
        let least = self.0.iter().min_by_key(|cpu| cpu.change);
        match (first.leaves, least) {
            (Leaves::Pages, _) => (Mode::Pages, first.why.to_string()),
            (Leaves::Largest, Some(least)) if with(least.change).leaves == Leaves::Pages => {
                let why = format!("the boot CPU allows blocks, {} does not", least.name);
                (Mode::Repainted, why)
            }
            (Leaves::Largest, _) => (Mode::Blocks, first.why.to_string()),
        }
    }
}

/// How it is known what a CPU does, and whether a later release would do better.
fn reason(midr: Midr, why: Why) -> String {
    let later = ATTESTED.iter().find(|attested| {
        (attested.implementer, attested.part) == (midr.implementer(), midr.part())
            && attested.from > midr.release()
    });
    match (why, later) {
        (Why::Attested(attested), _) => format!("{}: {}", why, attested.source),
        (Why::Register(_), Some(later)) => format!("{why}; attested from {} on", later.from),
        (Why::Register(_), None) => format!("{why}, and nobody attests more"),
    }
}

/// The CPU that is typed as `text`.
fn midr(text: &str) -> Result<Midr> {
    if let Ok(value) = number(text) {
        return Ok(Midr::new(value));
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let (name, release) = match words.split_last() {
        Some((last, name)) if !name.is_empty() && release(last).is_some() => {
            (name.concat(), release(last))
        }
        _ => (words.concat(), None),
    };
    let spelt = |name: &str| name.replace([' ', '-', '_'], "").to_lowercase();
    let found = Midr::designs().find(|(_, known)| spelt(known) == spelt(&name));
    let Some((midr, _)) = found else {
        let names: Vec<_> = Midr::designs().map(|(_, name)| name).collect();
        bail!("no CPU design `{text}` is known; type its MIDR, or one of: {}", names.join(", "));
    };
    let (variant, revision) = release.unwrap_or_default();
    Ok(Midr::new(u64::from(midr.value()) | variant << 20 | revision))
}

/// Variant and revision of a release such as `r0p3`.
fn release(text: &str) -> Option<(u64, u64)> {
    let (variant, revision) = text.strip_prefix('r')?.split_once('p')?;
    let field = |text: &str| text.parse().ok().filter(|value| *value < 16);
    Some((field(variant)?, field(revision)?))
}

/// The CPUs in the text of `/proc/cpuinfo`, in its order.
fn cpuinfo(text: &str) -> Vec<Midr> {
    let (mut implementer, mut variant, mut part) = (0, 0, 0);
    let mut midrs = Vec::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = number(value);
        match (name.trim(), value) {
            ("CPU implementer", Ok(value)) => implementer = value & 0xff,
            ("CPU variant", Ok(value)) => variant = value & 0xf,
            ("CPU part", Ok(value)) => part = value & 0xfff,
            // The last of the four that each CPU has.
            ("CPU revision", Ok(value)) => {
                let fields = implementer << 24 | variant << 20 | 0xf << 16 | part << 4;
                midrs.push(Midr::new(fields | value & 0xf));
            }
            _ => {}
        }
    }
    midrs
}

#[cfg(test)]
mod tests;
