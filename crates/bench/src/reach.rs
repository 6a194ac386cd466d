//! How far a TLB reaches over the engine's maps: accesses like those of the workloads that the
//! discussion of large blocks in the linear map was about, through the TLBs of two cores.

use blockmap::dump;
use blockmap::vmsa::Leaves;

use crate::draw::Draw;
use crate::engine::{Engine, EngineTree};
use crate::plot::grouped;
use crate::subject::{GIB, PAGE, Part, Refused, Subject, Tree};
use crate::tlb::{CORES, Core, Found, Leaf, Tlb};
use crate::work;

/// The memory that is mapped, and accessed.
pub const MEMORY: Part = Part { first: 0, bytes: 128 * GIB };

/// A map, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// What was done.
    pub name: String,
    /// How many pages were made read-only before.
    pub splits: u64,
    /// Stretches of equal leaves: the first offset, the end, and a leaf's bytes.
    stretches: Vec<(u64, u64, u64)>,
}

/// In which order memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A page at random, read through: random reads of a disk in RAM (`fio`, dm-crypt).
    Random,
    /// A cache line after another: a file of the page cache, read from its start.
    Sequential,
    /// A few lines of a page of the page cache, chosen by Zipf's law: a cache of objects.
    Zipf,
}

/// How many of a thousand accesses went how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Misses {
    /// The first level had no entry.
    pub first: f64,
    /// No level had one: the tables were walked.
    pub walks: f64,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Random, Self::Sequential, Self::Zipf];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random pages, each read through",
            Self::Sequential => "sequential",
            Self::Zipf => "Zipf over the page cache",
        }
    }
}

const LINE: u64 = 64;
/// Accesses that are counted, after as many that only fill the TLB.
const ACCESSES: u64 = 2_000_000;

/// Makes the maps: in blocks, in pages, after so many random pages changed their rights, and after
/// they got them back and the blocks were folded back.
///
/// # Errors
/// The engine refused.
pub fn maps(splits: &[u64]) -> Result<Vec<Map>, Refused> {
    let mut maps = vec![
        made("in blocks".to_owned(), 0, |tree| tree.map(MEMORY, Leaves::Largest))?,
        made("in pages".to_owned(), 0, |tree| tree.map(MEMORY, Leaves::Pages))?,
    ];
    let change = |tree: &mut EngineTree<'_>, count: u64| {
        tree.map(MEMORY, Leaves::Largest)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        work::pages(MEMORY).into_iter().take(count).try_for_each(|page| tree.read_only(page))
    };
    for count in splits {
        let name = format!("in blocks, {} pages read-only", grouped(*count));
        maps.push(made(name, *count, |tree| change(tree, *count))?);
    }
    if let Some(most) = splits.last() {
        let name = "healed: these given back, and folded".to_owned();
        maps.push(made(name, *most, |tree| {
            change(tree, *most)?;
            tree.read_write(MEMORY)?;
            tree.fold(MEMORY).map(|_| ())
        })?);
    }
    Ok(maps)
}

fn made(
    name: String,
    splits: u64,
    make: impl FnOnce(&mut EngineTree<'_>) -> Result<(), Refused>,
) -> Result<Map, Refused> {
    Engine::with_tree(66_000, |tree| {
        make(tree)?;
        let space = tree.space();
        let reader = space.reader();
        let tables = dump::Tree::new(space.geometry(), space.root(), &reader);
        let base = space.geometry().inputs().0;
        let stretches = tables.runs().filter_map(|run| {
            let leaf = run.mapped().filter(|leaf| leaf.is_valid())?;
            let run_bytes = space.geometry().run_bytes(run.level);
            let bytes = run_bytes.filter(|_| leaf.is_contiguous());
            let bytes = bytes.unwrap_or_else(|| space.geometry().span_bytes(run.level));
            let first = run.range.start().offset_from(base)?;
            Some((first, first + run.range.bytes(), bytes))
        });
        Ok(Map { name, splits, stretches: stretches.collect() })
    })
}

impl Map {
    /// The leaf that translates `offset`.
    fn leaf(&self, offset: u64) -> Option<Leaf> {
        let after = self.stretches.partition_point(|(first, _, _)| *first <= offset);
        let (first, end, bytes) = self.stretches.get(after.checked_sub(1)?)?;
        let four = offset & !(4 * PAGE - 1);
        let is_page = *bytes == PAGE;
        Some(Leaf {
            bytes: *bytes,
            four_alike: is_page && *first <= four && four + 4 * PAGE <= *end,
        })
    }

    /// How many entries of a TLB that holds every size would be this map.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.stretches.iter().map(|(first, end, bytes)| (end - first).div_ceil(*bytes)).sum()
    }
}

/// Sends accesses through a core's TLBs.
#[must_use]
pub fn misses(core: Core, map: &Map, pattern: Pattern) -> Misses {
    let mut tlb = Tlb::new(core);
    let mut addresses = Addresses::new(pattern);
    let mut counts = [0_u32; 3];
    for number in 0..2 * ACCESSES {
        let offset = addresses.next();
        let Some(leaf) = map.leaf(offset) else { continue };
        let found = tlb.access(offset, leaf);
        if number >= ACCESSES {
            match found {
                Found::First => counts[0] += 1,
                Found::Second => counts[1] += 1,
                Found::Walk => counts[2] += 1,
            }
        }
    }
    let all = counts.iter().map(|count| f64::from(*count)).sum::<f64>();
    let of_thousand = |count: u32| f64::from(count) * 1000.0 / all;
    Misses { first: of_thousand(counts[1] + counts[2]), walks: of_thousand(counts[2]) }
}

/// All misses: of each core, each pattern, each map.
#[must_use]
pub fn all(maps: &[Map]) -> Vec<(Core, Pattern, Vec<Misses>)> {
    let pairs = CORES.into_iter().flat_map(|core| Pattern::ALL.map(|pattern| (core, pattern)));
    pairs
        .map(|(core, pattern)| {
            let found = maps.iter().map(|map| misses(core, map, pattern)).collect();
            (core, pattern, found)
        })
        .collect()
}

/// The accesses of a pattern.
struct Addresses {
    pattern: Pattern,
    draw: Draw,
    zipf: Zipf,
    page: u64,
    /// Lines of the page that are still to come, and the next of them.
    left: u64,
    line: u64,
}

impl Addresses {
    fn new(pattern: Pattern) -> Self {
        let zipf = Zipf::new(MEMORY.bytes / PAGE);
        Self { pattern, draw: Draw::new(3), zipf, page: 0, left: 0, line: 0 }
    }

    fn next(&mut self) -> u64 {
        if self.left == 0 {
            let pages = MEMORY.bytes / PAGE;
            (self.page, self.left, self.line) = match self.pattern {
                Pattern::Random => (self.draw.below(pages), PAGE / LINE, 0),
                Pattern::Sequential => ((self.page + 1) % pages, PAGE / LINE, 0),
                Pattern::Zipf => {
                    let rank = self.zipf.rank(&mut self.draw);
                    // What is asked for most lies anywhere: an odd factor moves each to its own place.
                    let page = rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) % pages;
                    (page, 4, self.draw.below(PAGE / LINE - 4))
                }
            };
        }
        let offset = self.page * PAGE + self.line * LINE;
        self.left -= 1;
        self.line += 1;
        offset
    }
}

/// Ranks by Zipf's law with exponent 1: rank *r* about as often as 1/*r*.
struct Zipf {
    ranks: f64,
}

impl Zipf {
    fn new(ranks: u64) -> Self {
        Self { ranks: float(ranks) }
    }

    /// A rank, from zero: the logarithm of the rank is uniform.
    fn rank(&self, draw: &mut Draw) -> u64 {
        let part = float(draw.below(1 << 32)) / float(1 << 32);
        let rank = self.ranks.powf(part).floor();
        // Halving finds the whole number that this is, without a conversion that could lose.
        let (mut low, mut high) = (0_u64, 1_u64 << 40);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if float(middle) <= rank { low = middle } else { high = middle }
        }
        low - 1
    }
}

/// A number below 2^53, which a float holds exactly.
fn float(number: u64) -> f64 {
    let high = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(number & 0xffff_ffff).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(stretches: &[(u64, u64, u64)]) -> Map {
        Map { name: String::new(), splits: 0, stretches: stretches.to_vec() }
    }

    #[test]
    fn a_leaf_knows_whether_its_four_are_alike() {
        let map = map(&[(0, 5 * PAGE, PAGE), (5 * PAGE, 8 * PAGE, PAGE)]);
        let alike = |page: u64| map.leaf(page * PAGE).map(|leaf| leaf.four_alike);
        assert_eq!(
            [alike(3), alike(4), alike(5), alike(8)],
            [Some(true), Some(false), Some(false), Some(false)]
        );
    }

    #[test]
    fn accesses_are_the_same_in_every_run_and_within_memory() {
        for pattern in Pattern::ALL {
            let (mut one, mut other) = (Addresses::new(pattern), Addresses::new(pattern));
            for _ in 0..1000 {
                let offset = one.next();
                assert_eq!(offset, other.next(), "{pattern:?}");
                assert!(offset < MEMORY.bytes);
            }
        }
    }

    #[test]
    fn ranks_follow_zipfs_law() {
        let (zipf, mut draw) = (Zipf::new(1 << 20), Draw::new(1));
        let ranks: Vec<u64> = (0..20_000).map(|_| zipf.rank(&mut draw)).collect();
        let below = |rank: u64| ranks.iter().filter(|held| **held < rank).count();
        assert!(ranks.iter().all(|rank| *rank < 1 << 20));
        // The logarithm being uniform, each factor of two holds a twentieth.
        for power in [5_u32, 10, 15] {
            let expected = 1000 * usize::try_from(power).unwrap();
            assert!(below(1 << power).abs_diff(expected) < 500, "2^{power}: {}", below(1 << power));
        }
    }
}
