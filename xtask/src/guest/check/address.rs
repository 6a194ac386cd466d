//! Random addresses, translated by what was read and by QEMU's own MMU.

use anyhow::{Result, bail, ensure};

use super::blockmap::Leaves;
use super::{Bench, Plan};
use crate::guest::qmp::Qmp;

/// How many differences are shown.
const SHOWN: usize = 5;

/// Asks both, for addresses that are mapped, that are not, and that lie where one becomes the other.
pub(super) fn agree(bench: &Bench<'_>, qmp: &mut Qmp, plan: Plan) -> Result<String> {
    let leaves = bench.blockmap.leaves(&bench.image)?;
    ensure!(!leaves.is_empty(), "nothing is mapped");
    let mut random = Random(plan.seed);
    let (mut mapped, mut differences) = (0, Vec::new());
    for number in 0..plan.addresses {
        let address = pick(number, &leaves, &mut random);
        let ours = translated(&leaves, address);
        let theirs = physical(&qmp.human(&format!("gva2gpa {address:#x}"))?)?;
        mapped += u32::from(theirs.is_some());
        if ours != theirs {
            differences.push(format!(
                "{address:#018x}: read {}, QEMU {}",
                text(ours),
                text(theirs)
            ));
        }
    }
    if differences.is_empty() {
        return Ok(format!("{} addresses, {mapped} of them mapped", plan.addresses));
    }
    let shown = differences.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    bail!("{} of {} addresses:\n{shown}", differences.len(), plan.addresses)
}

fn text(address: Option<u64>) -> String {
    address.map_or("unmapped".to_owned(), |address| format!("{address:#x}"))
}

/// An address of the upper half, which bit 55 selects whatever the top byte says.
fn pick(number: u32, leaves: &[Leaves], random: &mut Random) -> u64 {
    let run = random.below(leaves.len());
    let Leaves { start, last, .. } = leaves[run];
    let address = match number % 8 {
        0..3 => start + random.next() % (last - start + 1),
        3 => start,
        4 => last,
        // Before and behind a run: another run, or nothing.
        5 => start.wrapping_sub(1 + random.next() % 0x20_0000),
        6 => last.wrapping_add(1 + random.next() % 0x20_0000),
        // Anything: mostly in no half at all.
        _ => random.next(),
    };
    address | 1 << 55
}

/// Where `address` leads by the leaves.
fn translated(leaves: &[Leaves], address: u64) -> Option<u64> {
    let after = leaves.partition_point(|leaves| leaves.start <= address);
    let leaves = leaves.get(after.checked_sub(1)?)?;
    (address <= leaves.last).then_some(leaves.output? + (address - leaves.start))
}

/// Where an address leads by QEMU's word for it.
fn physical(answer: &str) -> Result<Option<u64>> {
    let answer = answer.trim();
    if answer == "Unmapped" {
        return Ok(None);
    }
    let address = answer.strip_prefix("gpa: 0x").or(answer.strip_prefix("gpa: "));
    match address.map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(address)) => Ok(Some(address)),
        _ => bail!("QEMU's monitor answered: {answer}"),
    }
}

/// Numbers that look random and come again for the same seed: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `count`, which is not zero.
    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        usize::try_from(self.next() % count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: [Leaves; 2] = [
        Leaves { start: 0x1000, last: 0x2fff, output: Some(0x8000) },
        Leaves { start: 0x5000, last: 0x5fff, output: None },
    ];

    #[test]
    fn an_address_leads_where_its_leaves_do() {
        assert_eq!(translated(&TWO, 0xfff), None);
        assert_eq!(translated(&TWO, 0x1000), Some(0x8000));
        assert_eq!(translated(&TWO, 0x2fff), Some(0x9fff));
        assert_eq!(translated(&TWO, 0x3000), None);
        assert_eq!(translated(&TWO, 0x5000), None, "present, but invalid");
    }

    #[test]
    fn the_monitors_answers_are_understood() {
        assert_eq!(physical("gpa: 0x42a0\r\n").unwrap(), Some(0x42a0));
        assert_eq!(physical("Unmapped\r\n").unwrap(), None);
        assert!(physical("unknown command: 'gva2gpa'").is_err());
    }
}
