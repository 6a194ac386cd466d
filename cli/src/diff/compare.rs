//! Two lists of leaves, compared address by address.

use blockmap_dump::vmsa::machine::{VirtAddr, VirtRange};
use blockmap_dump::vmsa::{Geometry, LeafSize, Mair, bits};
use blockmap_dump::{Limits, Mapped, Size};
use blockmap_inspect::Outputs;
use serde::Serialize;

use crate::number::Hex;
use crate::region::{Name, Regions};
use crate::survey::{Leaves, Survey};
use crate::words::{difference, memory, rights};

/// What changed. An address may have several changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Something is mapped where nothing was.
    Mapped,
    /// Nothing is mapped where something was.
    Unmapped,
    /// Other memory is mapped.
    Moved,
    /// The same memory is granted differently.
    Changed,
    /// It is in smaller leaves or runs.
    Split,
    /// It is in larger ones.
    Joined,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Mapped, Self::Unmapped, Self::Moved, Self::Changed, Self::Split, Self::Joined];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Unmapped => "unmapped",
            Self::Moved => "moved",
            Self::Changed => "changed",
            Self::Split => "split",
            Self::Joined => "joined",
        }
    }
}

/// Neighbouring addresses with the same change.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) start: Hex,
    pub(super) bytes: u64,
    pub(super) region: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<State>,
    /// In what the two differ, for a change of what is granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<String>,
}

/// What one side says of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct State {
    rights: String,
    memory: String,
    /// Bytes of a leaf, or of the contiguous run that it is one of.
    size: u64,
    /// Where the first address leads, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Hex>,
}

impl Change {
    /// The change in words.
    pub(super) fn what(&self) -> String {
        let says = |state: &State| {
            format!("{} {} in {}", state.rights, state.memory, Size::of(state.size))
        };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => match self.kind {
                Kind::Split | Kind::Joined => {
                    format!("{} -> {}", Size::of(before.size), Size::of(after.size))
                }
                Kind::Moved => {
                    let place = |state: &State| state.output.map(|output| output.to_string());
                    let (from, to) = (place(before), place(after));
                    format!("{} -> {}", from.unwrap_or_default(), to.unwrap_or_default())
                }
                Kind::Changed | Kind::Mapped | Kind::Unmapped => {
                    let differs = self.differs.as_deref().unwrap_or_default();
                    let (from, to) = (&before.rights, &after.rights);
                    let says =
                        if from == to { differs.to_owned() } else { format!("{from} -> {to}") };
                    if from != to && before.memory != after.memory {
                        format!("{says}, {} -> {}", before.memory, after.memory)
                    } else {
                        says
                    }
                }
            },
            (Some(state), None) | (None, Some(state)) => says(state),
            (None, None) => String::new(),
        }
    }

    /// Adds `next`, if it is the same change right behind.
    fn absorb(&mut self, next: &Self) -> bool {
        let end = |start: Hex| Hex(start.0.wrapping_add(self.bytes));
        // Pieces of one leaf belong together, whatever they grant now.
        let are_sizes = matches!(self.kind, Kind::Split | Kind::Joined);
        let goes_on = |one: &Option<State>, other: &Option<State>| match (one, other) {
            (Some(one), Some(other)) if are_sizes => one.size == other.size,
            (Some(one), Some(other)) => {
                let expected = State { output: one.output.map(end), ..one.clone() };
                expected == *other
            }
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
        };
        let is_next = (self.kind, end(self.start), self.region)
            == (next.kind, next.start, next.region)
            && self.differs == next.differs
            && goes_on(&self.before, &next.before)
            && goes_on(&self.after, &next.after);
        if is_next {
            self.bytes += next.bytes;
        }
        is_next
    }
}

/// The two maps.
#[derive(Clone, Copy)]
pub(super) struct Sides<'s> {
    pub(super) before: &'s Survey,
    pub(super) after: &'s Survey,
    /// Whether both say where leaves lead.
    pub(super) outputs: Outputs,
}

/// Every change, in the order of addresses.
pub(super) fn changes(sides: &Sides<'_>, names: (Mair, &Regions)) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut before = sides.before.leaves.iter().copied().peekable();
    let mut after = sides.after.leaves.iter().copied().peekable();
    loop {
        let (one, other) = (before.peek().copied(), after.peek().copied());
        let Some(range) = next_range(one.as_ref(), other.as_ref()) else { break };
        let part = |leaves: Option<Leaves>| leaves.and_then(|leaves| leaves.within(range));
        for found in compare(sides, range, (part(one), part(other)), names) {
            // Of each kind at most one is open.
            if !changes.iter_mut().rev().take(Kind::ALL.len()).any(|last| last.absorb(&found)) {
                changes.push(found);
            }
        }
        for leaves in [&mut before, &mut after] {
            if let Some(first) = leaves.peek_mut().filter(|first| range.overlaps(first.range)) {
                let rest =
                    VirtRange::new(range.end(), first.range.last().value() - range.last().value());
                match rest.and_then(|rest| first.within(rest)) {
                    Some(rest) => *first = rest,
                    None => drop(leaves.next()),
                }
            }
        }
    }
    changes
}

/// The next addresses in which neither side changes.
fn next_range(one: Option<&Leaves>, other: Option<&Leaves>) -> Option<VirtRange> {
    let start = [one, other].into_iter().flatten().map(|leaves| leaves.range.start()).min()?;
    let last_of = |leaves: &Leaves| -> VirtAddr {
        if leaves.range.start() > start {
            leaves.range.start().wrapping_add(u64::MAX)
        } else {
            leaves.range.last()
        }
    };
    let last = [one, other].into_iter().flatten().map(last_of).min()?;
    VirtRange::inclusive(start, last)
}

fn compare(
    sides: &Sides<'_>,
    range: VirtRange,
    (before, after): (Option<Leaves>, Option<Leaves>),
    (mair, regions): (Mair, &Regions),
) -> Vec<Change> {
    let state = |survey: &Survey, leaves: Option<Leaves>| {
        leaves.map(|leaves| state(survey.geometry, mair, &leaves, sides.outputs))
    };
    let states = (state(sides.before, before), state(sides.after, after));
    let change = |kind, differs| Change {
        kind,
        start: Hex(range.start().value()),
        bytes: range.bytes(),
        region: regions.at(range.start()),
        before: states.0.clone(),
        after: states.1.clone(),
        differs,
    };
    let (Some(before), Some(after)) = (before, after) else {
        let kind = if before.is_some() { Kind::Unmapped } else { Kind::Mapped };
        return vec![change(kind, None)];
    };
    let mut changes = Vec::new();
    if sides.outputs == Outputs::Known && before.mapped.output != after.mapped.output {
        changes.push(change(Kind::Moved, None));
    }
    let (before, after) = (shown(before, sides.outputs), shown(after, sides.outputs));
    if before.grants() != after.grants() {
        let geometry = sides.after.geometry;
        let differs = difference(geometry, mair, after.mapped, before.mapped);
        changes.push(change(Kind::Changed, Some(differs)));
    }
    let spans = (size(sides.before.geometry, &before), size(sides.after.geometry, &after));
    match spans.0.cmp(&spans.1) {
        std::cmp::Ordering::Greater => changes.push(change(Kind::Split, None)),
        std::cmp::Ordering::Less => changes.push(change(Kind::Joined, None)),
        std::cmp::Ordering::Equal => {}
    }
    changes
}

/// What of leaves both sides tell. Linux's text, which has no output addresses, has neither the
/// limits of tables nor the bits that are Linux's own.
fn shown(leaves: Leaves, outputs: Outputs) -> Leaves {
    const UNTOLD: u64 = bits::DIRTY_MODIFIER | 0xf << 55;
    match outputs {
        Outputs::Known => leaves,
        Outputs::Invented => {
            let meaning = leaves.mapped.meaning & !UNTOLD;
            Leaves { mapped: Mapped { meaning, limits: Limits::NONE, ..leaves.mapped }, ..leaves }
        }
    }
}

fn state(geometry: Geometry, mair: Mair, leaves: &Leaves, outputs: Outputs) -> State {
    State {
        rights: rights(geometry, leaves.mapped),
        memory: memory(mair, leaves.mapped.meaning),
        size: size(geometry, leaves),
        output: match outputs {
            Outputs::Known => Some(Hex(leaves.mapped.output.value())),
            Outputs::Invented => None,
        },
    }
}

/// Bytes of a leaf, or of the contiguous run that it claims to be one of.
fn size(geometry: Geometry, leaves: &Leaves) -> u64 {
    let run = geometry.run_size(leaves.level).filter(|_| leaves.mapped.is_contiguous());
    run.map_or(geometry.span_bytes(leaves.level), LeafSize::bytes)
}

#[cfg(test)]
mod tests;
