//! Why a map has fewer blocks than its memory has room for: what breaks each of them, and whose it
//! is.

use std::collections::HashMap;

use blockmap_dump::vmsa::machine::{PhysRange, VirtAddr, VirtRange};
use blockmap_dump::vmsa::{Geometry, LeafSize, Leaves as Wanted, Level, Mair};
use serde::Serialize;

use crate::region::{Name, Regions};
use crate::survey::{Leaves, Survey};
use crate::words::difference;

/// What a map could be made of, and is not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Loss {
    pub(super) mapped_bytes: u64,
    pub(super) invalid_bytes: u64,
    /// Bytes behind blocks of any size.
    pub(super) block_bytes: u64,
    /// TLB entries for the valid leaves as they are.
    pub(super) tlb_entries: u64,
    /// The same, if neighbours that grant the same were in the largest leaves that fit.
    pub(super) tlb_entries_joined: u64,
    /// The same, if all of it granted the same.
    pub(super) tlb_entries_uniform: u64,
    /// Block sizes that the memory has room for, the largest first.
    pub(super) sizes: Vec<SizeLoss>,
}

/// Blocks of one size.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SizeLoss {
    pub(super) bytes: u64,
    /// Places that memory fills.
    pub(super) possible: u64,
    /// Those in leaves of this size, or larger ones.
    pub(super) present: u64,
    /// Those that grant the same all over, but are in smaller leaves.
    pub(super) joinable: u64,
    /// Those of which some part grants something else.
    pub(super) broken: u64,
    /// What breaks them, that which breaks most first.
    pub(super) reasons: Vec<Reason>,
}

/// Memory that grants something else than the most of the block around it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reason {
    /// In how many blocks.
    pub(super) blocks: u64,
    /// Bytes of it in all of them.
    pub(super) bytes: u64,
    /// In what it differs.
    pub(super) differs: String,
    /// Where else the same memory is mapped.
    pub(super) owners: Vec<Name>,
}

impl Reason {
    /// The owners in words.
    pub(super) fn owner_text(&self) -> String {
        let names: Vec<_> = self.owners.iter().map(|name| name.text()).collect();
        if names.is_empty() {
            "mapped nowhere else".to_owned()
        } else {
            format!("also mapped in: {}", names.join(", "))
        }
    }
}

/// Neighbouring leaves that lead to memory in order, whatever their sizes.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    range: VirtRange,
    /// Its first leaves, for what they say and where they lead.
    first: Leaves,
}

/// What is lost in `range` of a map.
pub(super) fn loss(survey: &Survey, range: VirtRange, names: (Mair, &Regions)) -> Loss {
    let geometry = survey.geometry;
    let leaves: Vec<Leaves> = survey.within(range).collect();
    let same = joined(&leaves, |one, other| one.grants() == other.grants());
    let all = joined(&leaves, |_, _| true);
    let bytes_of = |is: &dyn Fn(&&Leaves) -> bool| -> u64 {
        leaves.iter().filter(is).map(|leaves| leaves.range.bytes()).sum()
    };
    let is_valid = |leaves: &Leaves| leaves.mapped.is_valid();
    let valid = same.iter().filter(|stretch| is_valid(&stretch.first));
    let blocks = [Level::L0, Level::L1, Level::L2];
    let blocks = blocks.into_iter().filter_map(|level| geometry.leaf_size(level));
    let sizes = blocks
        .map(|size| {
            let broken = broken(size.bytes(), &same, &all);
            let reasons = reasons(survey, &broken, range, names);
            SizeLoss { reasons, ..counts(size, (&leaves, &same, &all)) }
        })
        .filter(|size| size.possible > 0);
    Loss {
        mapped_bytes: bytes_of(&|leaves| is_valid(leaves)),
        invalid_bytes: bytes_of(&|leaves| !is_valid(leaves)),
        block_bytes: bytes_of(&|leaves| leaves.level != Level::L3),
        tlb_entries: leaves
            .iter()
            .filter(|leaves| is_valid(leaves))
            .map(|leaves| now(geometry, leaves))
            .sum(),
        tlb_entries_joined: valid.map(|stretch| fewest(geometry, stretch)).sum(),
        tlb_entries_uniform: all.iter().map(|stretch| fewest(geometry, stretch)).sum(),
        sizes: sizes.collect(),
    }
}

/// Neighbours of which each next one leads to the bytes after, and `alike` holds.
fn joined(leaves: &[Leaves], alike: impl Fn(&Leaves, &Leaves) -> bool) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for leaves in leaves {
        let bytes = leaves.range.bytes();
        if let Some(last) = stretches.last_mut()
            && last.range.end() == leaves.range.start()
            && last.first.mapped.output.wrapping_add(last.range.bytes()) == leaves.mapped.output
            && alike(&last.first, leaves)
            && let Some(whole) = VirtRange::new(last.range.start(), last.range.bytes() + bytes)
        {
            last.range = whole;
        } else {
            stretches.push(Stretch { range: leaves.range, first: *leaves });
        }
    }
    stretches
}

/// TLB entries of leaves as they are.
fn now(geometry: Geometry, leaves: &Leaves) -> u64 {
    let span = geometry.span_bytes(leaves.level);
    let run = geometry.run_size(leaves.level).filter(|_| leaves.mapped.is_contiguous());
    leaves.range.bytes().div_ceil(run.map_or(span, LeafSize::bytes))
}

/// The fewest TLB entries for a stretch.
fn fewest(geometry: Geometry, stretch: &Stretch) -> u64 {
    let (mut input, mut output) = (stretch.range.start(), stretch.first.mapped.output);
    let (mut left, mut count) = (stretch.range.bytes(), 0);
    while let Some(size) = geometry.largest_leaf(input, output, left, Wanted::Largest) {
        // As many as there are up to where a larger one may begin: no size has a next one of less
        // than sixteen times its bytes.
        let larger = size.bytes().saturating_mul(16);
        let room = (larger - input.value() % larger).min(left);
        let those = (room / size.bytes()).max(1);
        count += those;
        left -= those * size.bytes();
        input = input.wrapping_add(those * size.bytes());
        output = output.wrapping_add(those * size.bytes());
    }
    count
}

/// How many blocks of one size there could be and are.
fn counts(size: LeafSize, (leaves, same, all): (&[Leaves], &[Stretch], &[Stretch])) -> SizeLoss {
    let bytes = size.bytes();
    let sum = |stretches: &[Stretch]| -> u64 {
        stretches.iter().map(|stretch| places(stretch.range, &stretch.first, bytes)).sum()
    };
    let (possible, whole) = (sum(all), sum(same));
    let large = leaves.iter().filter(|leaves| leaves.level <= size.level);
    let present: u64 = large.map(|leaves| places(leaves.range, leaves, bytes)).sum();
    SizeLoss {
        bytes,
        possible,
        present,
        joinable: whole.saturating_sub(present),
        broken: possible.saturating_sub(whole),
        reasons: Vec::new(),
    }
}

/// The parts of each place for a block of `bytes` bytes that do not all grant the same.
fn broken(bytes: u64, same: &[Stretch], all: &[Stretch]) -> Vec<Vec<Leaves>> {
    let mut broken = Vec::new();
    for stretch in all.iter().filter(|stretch| is_aligned(&stretch.first, bytes)) {
        let mut done = None;
        // Each place in which one part ends and another begins.
        for part in within(same, stretch.range).skip(1) {
            let base = part.range.start().align_down(bytes);
            let Some(place) = VirtRange::new(base, bytes) else { continue };
            if base == part.range.start() || done == Some(base) || !stretch.range.covers(place) {
                continue;
            }
            done = Some(base);
            let inside = within(same, place);
            let inside = inside.map(|part| Leaves { range: part.range, ..part.first });
            broken.push(inside.filter_map(|part| part.within(place)).collect());
        }
    }
    broken
}

/// The stretches that touch `range`.
fn within(stretches: &[Stretch], range: VirtRange) -> impl Iterator<Item = &Stretch> {
    let first = stretches.partition_point(|stretch| stretch.range.last() < range.start());
    let rest = stretches.get(first..).unwrap_or_default();
    rest.iter().take_while(move |stretch| stretch.range.start() <= range.last())
}

/// Whether input and output addresses are equally far from multiples of `bytes`.
const fn is_aligned(leaves: &Leaves, bytes: u64) -> bool {
    let (input, output) = (leaves.range.start().value(), leaves.mapped.output.value());
    (input ^ output) & (bytes - 1) == 0
}

/// How many places for a block of `bytes` bytes lie wholly in `range`.
fn places(range: VirtRange, first: &Leaves, bytes: u64) -> u64 {
    let start = range.start().align_up(bytes);
    let inside = start.and_then(|start| range.last().offset_from(start));
    match inside.filter(|_| is_aligned(first, bytes)) {
        Some(above) => above.checked_add(1).map_or(u64::MAX / bytes, |inside| inside / bytes),
        None => 0,
    }
}

/// What breaks blocks: in each, what is not as the most of it.
fn reasons(
    survey: &Survey,
    blocks: &[Vec<Leaves>],
    range: VirtRange,
    (mair, regions): (Mair, &Regions),
) -> Vec<Reason> {
    let owners = Owners::new(survey, range);
    let mut found: HashMap<(String, Vec<Name>), (u64, u64)> = HashMap::new();
    for parts in blocks {
        let mut weights: HashMap<(u64, u64), u64> = HashMap::new();
        for part in parts {
            *weights.entry(part.grants()).or_default() += part.range.bytes();
        }
        let usual =
            parts.iter().max_by_key(|part| (weights.get(&part.grants()), part.range.start()));
        let Some(usual) = usual else { continue };
        let mut here: HashMap<(String, Vec<Name>), u64> = HashMap::new();
        for part in parts.iter().filter(|part| part.grants() != usual.grants()) {
            let differs = difference(survey.geometry, mair, part.mapped, usual.mapped);
            let names = part.output().map(|output| owners.of(output, regions)).unwrap_or_default();
            *here.entry((differs, names)).or_default() += part.range.bytes();
        }
        for (reason, bytes) in here {
            let sum = found.entry(reason).or_default();
            *sum = (sum.0 + 1, sum.1 + bytes);
        }
    }
    let mut reasons: Vec<_> = found
        .into_iter()
        .map(|((differs, owners), (blocks, bytes))| Reason { blocks, bytes, differs, owners })
        .collect();
    reasons.sort_by(|one, other| {
        let key = |reason: &Reason| (u64::MAX - reason.blocks, u64::MAX - reason.bytes);
        key(one).cmp(&key(other)).then_with(|| one.differs.cmp(&other.differs))
    });
    reasons
}

/// What maps memory outside the range that is looked at, by output address.
struct Owners {
    by_output: Vec<(PhysRange, VirtAddr)>,
    longest: u64,
}

impl Owners {
    fn new(survey: &Survey, range: VirtRange) -> Self {
        let outside = survey.leaves.iter().filter(|leaves| !range.overlaps(leaves.range));
        let mut by_output: Vec<_> =
            outside.filter_map(|leaves| Some((leaves.output()?, leaves.range.start()))).collect();
        by_output.sort_by_key(|(output, _)| output.start());
        let longest = by_output.iter().map(|(output, _)| output.bytes()).max().unwrap_or(0);
        Self { by_output, longest }
    }

    /// The names of the parts that map any of `output`.
    fn of(&self, output: PhysRange, regions: &Regions) -> Vec<Name> {
        let lowest = output.start().value().saturating_sub(self.longest);
        let first = self.by_output.partition_point(|(own, _)| own.start().value() < lowest);
        let candidates = self.by_output.get(first..).unwrap_or_default();
        let mut names: Vec<_> = candidates
            .iter()
            .take_while(|(own, _)| own.start() <= output.last())
            .filter(|(own, _)| own.overlaps(output))
            .map(|(_, input)| regions.at(*input))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests;
