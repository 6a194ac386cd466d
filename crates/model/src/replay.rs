//! The program in one order, as if every effect were visible at once: what the map means before,
//! what it shall mean in the end, and whether it does.

use std::collections::HashMap;

use blockmap_machine::{Entry, PhysAddr, VirtAddr, VirtRange};

use crate::decode::{Leaf, Word};
use crate::meaning::{Meaning, Translation};
use crate::program::{Intent, Memory, Program, Step, written};
use crate::rights::Rights;
use crate::shape::Shape;
use crate::verdict::{Effect, Rule, Verdict};

/// A leaf of a tree, with what the tables above let it grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first input address.
    pub base: VirtAddr,
    /// The height of its table.
    pub height: u32,
    /// Where it stands.
    pub entry: Entry,
    /// What it says.
    pub leaf: Leaf,
    /// What it grants.
    pub rights: Rights,
}

impl Found {
    /// What its first address translates to.
    #[must_use]
    pub const fn translation(self) -> Translation {
        Translation { output: self.leaf.output, rights: self.rights, memory: self.leaf.memory }
    }

    /// The addresses it translates.
    #[must_use]
    pub fn range(self, shape: Shape) -> Option<VirtRange> {
        VirtRange::new(self.base, shape.span(self.height))
    }
}

/// Who goes first where several CPUs can take a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// CPUs that write to tables.
    Writers,
    /// CPUs that don't.
    Others,
    /// This CPU.
    This(usize),
}

/// Whether a CPU writes to tables.
pub(crate) fn writes(program: &Program, cpu: usize) -> bool {
    let mut steps = program.cpus[cpu].steps.iter();
    steps.any(|step| step.event().and_then(written).is_some())
}

/// A lock in an order.
#[derive(Clone, Copy, Debug, Default)]
struct Lock {
    is_held: bool,
    /// How often it was let go of.
    unlocked: u32,
}

/// One order in which the CPUs can take their steps; the steps of those that wait for ever are
/// missing.
#[must_use]
pub fn order(program: &Program, first: First) -> Vec<(usize, usize)> {
    let waits = |cpu: &usize| match first {
        First::Writers => !writes(program, *cpu),
        First::Others => writes(program, *cpu),
        First::This(this) => *cpu != this,
    };
    let mut cpus: Vec<usize> = (0..program.cpus.len()).collect();
    cpus.sort_by_key(waits);
    let mut order = Vec::new();
    let mut next = vec![0; program.cpus.len()];
    let mut counters: HashMap<&str, u32> = HashMap::new();
    let mut locks: HashMap<&str, Lock> = HashMap::new();
    loop {
        let can_go = |cpu: &usize| match program.cpus[*cpu].steps.get(next[*cpu]) {
            Some(Step::Wait(name, count)) => counters.get(&**name).unwrap_or(&0) >= count,
            Some(Step::Lock { name, turn }) => {
                let lock = locks.get(&**name).copied().unwrap_or_default();
                !lock.is_held && turn.is_none_or(|turn| lock.unlocked >= turn)
            }
            Some(_) => true,
            None => false,
        };
        let Some(cpu) = cpus.iter().copied().find(can_go) else { return order };
        let number = next[cpu];
        match &program.cpus[cpu].steps[number] {
            Step::Lock { name, .. } => locks.entry(name).or_default().is_held = true,
            Step::Unlock(name) => {
                let lock = locks.entry(name).or_default();
                *lock = Lock { is_held: false, unlocked: lock.unlocked + 1 };
            }
            Step::Signal(name) => *counters.entry(name).or_default() += 1,
            Step::Effect(_)
            | Step::Intend(_)
            | Step::Achieved
            | Step::Free(_)
            | Step::Use(_)
            | Step::Part(..)
            | Step::Code(_)
            | Step::PastCaches(_)
            | Step::Wait(..)
            | Step::Context(_) => {}
        }
        order.push((cpu, number));
        next[cpu] += 1;
    }
}

/// Every leaf of the tree under `root`, in ascending order. Entries that hold anything map nothing.
#[must_use]
pub fn leaves(shape: Shape, root: PhysAddr, memory: &Memory) -> Vec<Found> {
    let mut found = Vec::new();
    let top = (root, shape.top(), shape.inputs().start(), Rights::ALL);
    collect(shape, memory, top, &mut found);
    found
}

fn collect(
    shape: Shape,
    memory: &Memory,
    (table, height, start, allows): (PhysAddr, u32, VirtAddr, Rights),
    found: &mut Vec<Found>,
) {
    for index in 0..shape.entries(height) {
        let base = start.wrapping_add(u64::from(index) << shape.span_bits(height));
        let entry = Entry { table, index: u16::try_from(index).unwrap_or(u16::MAX) };
        let Some(word) = memory.load(entry) else { continue };
        match shape.decode(height, word) {
            Word::Fault => {}
            Word::Table { table, allows: below } => {
                collect(shape, memory, (table, height - 1, base, allows.and(below)), found);
            }
            Word::Leaf(leaf) => {
                let rights = leaf.rights.and(allows);
                found.push(Found { base, height, entry, leaf, rights });
            }
        }
    }
}

/// What the tree under `root` means.
#[must_use]
pub fn meaning(shape: Shape, leaves: &[Found]) -> Meaning {
    let mut meaning = Meaning::default();
    for leaf in leaves {
        if let Some(range) = leaf.range(shape) {
            meaning.set(range, Some(leaf.translation()));
        }
    }
    meaning
}

/// What `meaning` becomes when `intents` are achieved.
pub fn achieve(meaning: &mut Meaning, intents: &[Intent]) {
    for intent in intents {
        for piece in meaning.pieces(intent.range) {
            let offset = piece.range.start().offset_from(intent.range.start()).unwrap_or(0);
            meaning.set(piece.range, intent.target.of(piece.translation, offset));
        }
    }
}

/// Judges what the tables are like when all is done: whether they mean what was asked, and
/// whether contiguous runs are whole.
#[must_use]
pub fn judge_end(program: &Program) -> Vec<Verdict> {
    let shape = program.shape;
    let mut memory = Memory::after(&program.initially);
    let mut asked = meaning(shape, &leaves(shape, program.root, &memory));
    let mut open: Vec<Vec<Intent>> = vec![Vec::new(); program.cpus.len()];
    let order = order(program, First::Writers);
    for (cpu, at) in &order {
        let step = &program.cpus[*cpu].steps[*at];
        if let Some(event) = step.event() {
            memory.perform(event);
        }
        match step {
            Step::Intend(intent) => open[*cpu].push(*intent),
            Step::Achieved => achieve(&mut asked, &std::mem::take(&mut open[*cpu])),
            Step::Effect(_)
            | Step::Free(_)
            | Step::Use(_)
            | Step::Part(..)
            | Step::Code(_)
            | Step::PastCaches(_)
            | Step::Lock { .. }
            | Step::Unlock(_)
            | Step::Signal(_)
            | Step::Wait(..)
            | Step::Context(_) => {}
        }
    }
    let effect = last_effect(program, &order);
    let verdict = |rule, address, seen: String| Verdict {
        rule,
        cpu: effect.cpu,
        address,
        effect: effect.clone(),
        seen: vec![seen],
    };
    let leaves = leaves(shape, program.root, &memory);
    let mut verdicts = Vec::new();
    let stuck: usize = program.cpus.iter().map(|cpu| cpu.steps.len()).sum();
    if stuck > order.len() {
        let what = "a CPU that waits for ever".to_owned();
        verdicts.push(verdict(Rule::NoDeadlock, shape.inputs().start(), what));
    }
    if let Some((address, what)) = first_difference(shape, &meaning(shape, &leaves), &asked) {
        verdicts.push(verdict(Rule::MapMeansWhatWasAsked, address, what));
    }
    if let Some((address, what)) = first_broken_run(shape, &memory, &leaves) {
        verdicts.push(verdict(Rule::WholeRunOrNone, address, what));
    }
    verdicts
}

/// The last step that was taken.
fn last_effect(program: &Program, order: &[(usize, usize)]) -> Effect {
    let (cpu, step) = order.last().copied().unwrap_or((0, 0));
    let text = program.cpus.get(cpu).and_then(|cpu| cpu.steps.get(step));
    Effect { cpu, step, text: text.map_or_else(String::new, ToString::to_string) }
}

/// The lowest address at which two maps differ.
fn first_difference(shape: Shape, made: &Meaning, asked: &Meaning) -> Option<(VirtAddr, String)> {
    made.pieces(shape.inputs()).into_iter().find_map(|piece| {
        asked.pieces(piece.range).into_iter().find_map(|wanted| {
            let at = wanted.range.start();
            let is = made.get(at);
            let text = |translation: Option<Translation>| {
                translation.map_or_else(|| "unmapped".to_owned(), |to| to.to_string())
            };
            let differs = is != wanted.translation;
            differs.then(|| (at, format!("{}, not {}", text(is), text(wanted.translation))))
        })
    })
}

/// The first leaf of a run whose members disagree; invalid members are no disagreement.
///
/// Source: "The Contiguous bit"; rules RQTRPM, RJQQTC, IPGVGZ.
pub(crate) fn first_broken_run(
    shape: Shape,
    memory: &Memory,
    leaves: &[Found],
) -> Option<(VirtAddr, String)> {
    leaves.iter().filter(|found| found.leaf.is_contiguous).find_map(|found| {
        let count = u16::try_from(shape.run_entries(found.height)).ok()?;
        let first = found.entry.index - found.entry.index % count;
        (first..first + count).find_map(|index| {
            let word = memory.load(Entry { table: found.entry.table, index })?;
            let expected = expected_member(shape, *found, index);
            match shape.decode(found.height, word) {
                Word::Fault => None,
                Word::Leaf(leaf) if leaf == expected => None,
                Word::Leaf(_) | Word::Table { .. } => {
                    let what = format!("a run with {word:#x} as its entry {}", index - first);
                    Some((found.base, what))
                }
            }
        })
    })
}

/// What the member at `index` of the run that `found` is in must say.
fn expected_member(shape: Shape, found: Found, index: u16) -> Leaf {
    let run = shape.run_span(found.height);
    let within = u64::from(index) << shape.span_bits(found.height) & (run - 1);
    let output = found.leaf.output.align_down(run).wrapping_add(within);
    Leaf { output, ..found.leaf }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::read;

    fn rules(steps: &str) -> Vec<Rule> {
        let heading = "root 0x40000000\n\
             initially fill 0x40000000[0..512] 0x0 step 0x0\n\
             initially fill 0x40001000[0..512] 0x60000080000701 step 0x40000000\n\
             initially store 0x40000000[0] 0x40001003\n";
        let program = read(&format!("{heading}{steps}")).unwrap();
        judge_end(&program).iter().map(|verdict| verdict.rule).collect()
    }

    #[test]
    fn the_end_must_mean_what_was_asked() {
        let intend = "cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n";
        let store = "update 0x40001000[0..1] clear 0x0 set 0x80\n";
        assert_eq!(rules(&format!("{intend}{store}achieved")), []);
        assert_eq!(rules(&format!("{intend}achieved")), [Rule::MapMeansWhatWasAsked]);
        assert_eq!(rules(&format!("cpu 0:\n{store}")), [Rule::MapMeansWhatWasAsked]);
        assert_eq!(rules("cpu 0:\nwait never 1"), [Rule::NoDeadlock]);
    }

    #[test]
    fn a_run_is_whole_or_none_at_rest() {
        let set = |end: u16| {
            format!("cpu 0:\nupdate 0x40001000[0..{end}] clear 0x0 set {:#x}", 1_u64 << 52)
        };
        assert_eq!(rules(&set(16)), [Rule::WholeRunOrNone], "its output is not aligned");
        let aligned = "cpu 0:\nfill 0x40001000[0..16] 0x10600c0000000701 step 0x40000000";
        assert!(!rules(aligned).contains(&Rule::WholeRunOrNone));
    }
}
