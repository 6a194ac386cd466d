//! Where the tables are: from registers, from what Linux wrote down, or from what the user says.

use std::fmt;

use blockmap_dump::Tree;
use blockmap_vmsa::{
    Format, Geometry, GeometryError, Granule, Half, Mair, Regime, Tcr, Ttbr,
    machine::PhysAddr,
    tcr::{TcrError, Walks},
};
use thiserror::Error;

use crate::{Overrides, Provenance, Registers, TableReader, Topic, VmCoreInfo};

/// A tree that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundTree {
    /// What it looks like.
    pub geometry: Geometry,
    /// Where its root table is.
    pub root: PhysAddr,
    /// How many tables are entered at most: hostile tables could otherwise take forever.
    pub most_tables: u64,
}

impl FoundTree {
    /// The tree, to be read by `reader`.
    #[must_use]
    pub const fn tree<'r, 'm>(&self, reader: &'r TableReader<'m>) -> Tree<'r, TableReader<'m>> {
        Tree::new(self.geometry, self.root, reader).with_most_tables(self.most_tables)
    }
}

/// For people: half, granule, sizes, levels and root.
impl fmt::Display for FoundTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { geometry, root, .. } = self;
        let half = match geometry.half() {
            Half::Lower => "lower half",
            Half::Upper => "upper half",
        };
        let format = match geometry.format() {
            Format::Base => "",
            Format::Lpa => ", LPA",
            Format::Lpa2 => ", LPA2",
        };
        write!(
            f,
            "{half}, root {root}; {}K granule, {}-bit input, {}-bit output{format}, {} levels",
            geometry.page_bytes() >> 10,
            geometry.input_bits(),
            geometry.output_bits(),
            geometry.root_level().levels_below() + 1,
        )
    }
}

/// Why no tree was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FindError {
    /// Nothing says where a root is.
    #[error(
        "nothing says where the tables are: there are no registers, and no VMCOREINFO of a Linux \
         kernel was found in memory; give --root and --tcr, or --root, --granule and --va-bits"
    )]
    Nothing,
    /// A root was given, and nothing says what its tree looks like.
    #[error("nothing says what the tables look like: give --tcr, or --granule and --va-bits")]
    NoGeometry,
    /// The TCR says something that no tree can be.
    #[error("TCR {value:#x} is not understood: {error}; give --tcr")]
    Tcr {
        /// The register.
        value: u64,
        /// What is wrong with it.
        error: TcrError,
    },
    /// The sizes that were given go together in no tree.
    #[error("no tree has these sizes: {0}")]
    Geometry(GeometryError),
    /// The half that was asked for has no tree.
    #[error("the {} half has no tree: its walks are turned off, or it is unknown", half_name(*.0))]
    NoHalf(Half),
}

const fn half_name(half: Half) -> &'static str {
    match half {
        Half::Lower => "lower",
        Half::Upper => "upper",
    }
}

/// What is known about where tables are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence<'a> {
    pub(crate) registers: Option<Registers>,
    pub(crate) linux: Option<&'a VmCoreInfo>,
    /// The number of frames in the source, where that is known.
    pub(crate) frames: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Never none.
    pub(crate) trees: Vec<FoundTree>,
    pub(crate) mair: Option<Mair>,
}

/// Finds the trees.
pub(crate) fn find(
    evidence: Evidence<'_>,
    overrides: &Overrides,
    origin: &mut Provenance,
) -> Result<Found, FindError> {
    let mut trees = match (overrides.tcr, evidence.registers) {
        (None, None) => vec![without_registers(evidence, overrides)?],
        (tcr, registers) => by_registers(tcr, registers, evidence, overrides)?,
    };
    if trees.is_empty() {
        return Err(FindError::Nothing);
    }
    if let Some(half) = overrides.half {
        trees.retain(|(tree, _)| tree.geometry.half() == half);
        if trees.is_empty() {
            return Err(FindError::NoHalf(half));
        }
    }
    for (tree, from) in &mut trees {
        // A table may be reached from several places, but no kernel has more tables than frames.
        tree.most_tables = evidence.frames.map_or(1 << 20, |frames| frames.clamp(512, 1 << 24));
        origin.add(Topic::Tables, format!("{tree} ({from})"));
    }
    let mair = overrides.mair.or_else(|| evidence.registers?.mair).map(Mair::new);
    Ok(Found { trees: trees.into_iter().map(|(tree, _)| tree).collect(), mair })
}

/// A tree, and what says that it is there.
type Sourced = (FoundTree, &'static str);

fn sourced(geometry: Geometry, root: PhysAddr, from: &'static str) -> Sourced {
    (FoundTree { geometry, root, most_tables: 0 }, from)
}

/// The tree that Linux wrote down, or that the user says.
fn without_registers(evidence: Evidence<'_>, overrides: &Overrides) -> Result<Sourced, FindError> {
    let linux = evidence.linux;
    let regime = overrides.regime.unwrap_or(Regime::El1And0);
    let given = match (overrides.granule, overrides.input_bits) {
        (None, None) => None,
        (granule, bits) => {
            let known = linux.and_then(VmCoreInfo::geometry);
            let granule = granule.or(known.map(Geometry::granule)).ok_or(FindError::NoGeometry)?;
            let bits = bits.or(known.map(Geometry::input_bits)).ok_or(FindError::NoGeometry)?;
            Some(given_geometry((regime, overrides.half), granule, bits)?)
        }
    };
    let known = || linux.and_then(VmCoreInfo::geometry);
    match (overrides.root, linux.and_then(VmCoreInfo::root)) {
        (None, None) => Err(FindError::Nothing),
        (Some(root), _) => {
            let geometry = given.or_else(known).ok_or(FindError::NoGeometry)?;
            Ok(sourced(geometry, root, "root as given"))
        }
        (None, Some(root)) => {
            let geometry = given.or_else(known).ok_or(FindError::NoGeometry)?;
            Ok(sourced(geometry, root, "swapper_pg_dir of VMCOREINFO"))
        }
    }
}

/// The geometry of sizes that the user gave, with the widest output addresses there are.
fn given_geometry(
    (regime, half): (Regime, Option<Half>),
    granule: Granule,
    input_bits: u32,
) -> Result<Geometry, FindError> {
    let half = half.unwrap_or(if regime.has_unprivileged() { Half::Upper } else { Half::Lower });
    let (format, output_bits) = match (granule, input_bits) {
        (Granule::Kib64, 49..) => (Format::Lpa, 52),
        (Granule::Kib4 | Granule::Kib16, 49..) => (Format::Lpa2, 52),
        (Granule::Kib4 | Granule::Kib16 | Granule::Kib64, _) => (Format::Base, 48),
    };
    Geometry::new((regime, half), (granule, format), input_bits, output_bits)
        .map_err(FindError::Geometry)
}

/// The trees that the registers say, with what the user says in their place.
fn by_registers(
    tcr: Option<u64>,
    registers: Option<Registers>,
    evidence: Evidence<'_>,
    overrides: &Overrides,
) -> Result<Vec<Sourced>, FindError> {
    let value = tcr.or(registers.map(|registers| registers.tcr)).ok_or(FindError::Nothing)?;
    let regime = overrides.regime.or(registers.map(|registers| registers.regime));
    let regime = regime.unwrap_or(Regime::El1And0);
    let tcr = Tcr::decode(regime, value).map_err(|error| FindError::Tcr { value, error })?;
    let lower = registers.map(|registers| registers.ttbr0);
    let upper = registers.and_then(|registers| registers.ttbr1);
    let root_of =
        overrides.half.unwrap_or(if tcr.upper.is_some() { Half::Upper } else { Half::Lower });
    let tree = |walks: Option<Walks>, register: Option<Ttbr>, from| {
        let geometry = walks?.geometry;
        if let Some(root) = overrides.root.filter(|_| geometry.half() == root_of) {
            return Some(sourced(geometry, root, "root as given"));
        }
        Some(sourced(geometry, geometry.root(register?), from))
    };
    let upper = tree(tcr.upper, upper, "TTBR1").map(|found| kernels_own(found, evidence));
    let upper = upper.or_else(|| {
        let root = evidence.linux.and_then(VmCoreInfo::root)?;
        Some(sourced(tcr.upper?.geometry, root, "swapper_pg_dir of VMCOREINFO"))
    });
    let lower = tree(tcr.lower, lower, "TTBR0");
    Ok(upper.into_iter().chain(lower).collect())
}

/// The kernel's own root in the place of TTBR1's. They differ while a CPU runs a program, when the
/// kernel hides its map from it (KPTI), or has moved to another one for a moment.
fn kernels_own((found, from): Sourced, evidence: Evidence<'_>) -> Sourced {
    match evidence.linux.and_then(VmCoreInfo::root) {
        Some(root) if from == "TTBR1" && root != found.root => {
            (FoundTree { root, ..found }, "swapper_pg_dir of VMCOREINFO; TTBR1 is elsewhere")
        }
        Some(_) if from == "TTBR1" => (found, "TTBR1, and swapper_pg_dir of VMCOREINFO"),
        Some(_) | None => (found, from),
    }
}
