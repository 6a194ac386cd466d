//! What is wrong with two mappings of the same memory: found in one pass over memory.
//!
//! Leaves begin and end at edges of memory. Between two edges the same leaves are open, and only
//! the first of each class matters: so many aliases of one page, as damaged tables have, cost no
//! more than their edges.

use std::collections::{BTreeMap, BTreeSet};

use blockmap_dump::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap_dump::vmsa::mair::{Caching, MemoryType};
use blockmap_dump::vmsa::{Mair, machine::PhysRange};

use super::finding::{Alias, Finding, Kind, Weight};
use crate::number::Hex;
use crate::region::{Name, Regions};
use crate::survey::{Leaves, Survey};
use crate::words::{memory, memory_index, rights};

/// What a mapping is to the others of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Writable.
    Open,
    /// Writable, in the linear map.
    OpenLinear,
    /// Executable and not writable.
    Code,
    /// Neither, and not in the linear map, whose rights may be less than the owner's.
    Constant,
    /// Not writable, in the image.
    Image,
    /// Of a memory type: by how caches treat it.
    Type(Treatment),
}

/// How caches treat memory: mappings that agree in this go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Treatment {
    WriteBack,
    WriteThrough,
    NonCacheable,
    Device,
    Other,
}

/// A class that is protected, the one that breaks it, and what that is called.
const PAIRS: [(Class, Class, Kind); 13] = {
    use Treatment::{Device, NonCacheable, Other, WriteBack, WriteThrough};
    [
        (Class::Code, Class::Open, Kind::XAlias),
        (Class::Constant, Class::Open, Kind::RoAlias),
        (Class::Image, Class::OpenLinear, Kind::Image),
        (Class::Type(NonCacheable), Class::Type(WriteBack), Kind::Memtype),
        (Class::Type(Device), Class::Type(WriteBack), Kind::Memtype),
        (Class::Type(WriteThrough), Class::Type(WriteBack), Kind::Memtype),
        (Class::Type(Device), Class::Type(NonCacheable), Kind::Memtype),
        (Class::Type(NonCacheable), Class::Type(WriteThrough), Kind::Memtype),
        (Class::Type(Device), Class::Type(WriteThrough), Kind::Memtype),
        (Class::Type(Other), Class::Type(WriteBack), Kind::Memtype),
        (Class::Type(Other), Class::Type(WriteThrough), Kind::Memtype),
        (Class::Type(Other), Class::Type(NonCacheable), Kind::Memtype),
        (Class::Type(Other), Class::Type(Device), Kind::Memtype),
    ]
};

/// Findings about memory that is mapped more than once.
pub(super) fn findings(survey: &Survey, (mair, regions): (Mair, &Regions)) -> Vec<Finding> {
    let mut edges: Vec<(PhysAddr, Edge, usize)> = Vec::new();
    for (index, leaves) in survey.leaves.iter().enumerate() {
        let Some(output) = leaves.output().filter(|_| leaves.mapped.is_valid()) else { continue };
        edges.push((output.start(), Edge::Begins, index));
        edges.push((output.end(), Edge::Ends, index));
    }
    edges.sort_unstable();
    let mut open: BTreeMap<Class, BTreeSet<usize>> = BTreeMap::new();
    let mut findings: Vec<Finding> = Vec::new();
    let mut from = PhysAddr::new(0);
    for (at, edge, index) in edges {
        let memory = at.offset_from(from).and_then(|bytes| PhysRange::new(from, bytes));
        if let Some(memory) = memory {
            for found in pairs(&open, memory, survey, (mair, regions)) {
                if !findings.iter_mut().rev().take(PAIRS.len()).any(|last| last.absorb(&found)) {
                    findings.push(found);
                }
            }
        }
        from = at;
        let Some(leaves) = survey.leaves.get(index) else { continue };
        for class in classes(survey, leaves, (mair, regions)).into_iter().flatten() {
            let members = open.entry(class).or_default();
            match edge {
                Edge::Begins => drop(members.insert(index)),
                Edge::Ends => drop(members.remove(&index)),
            }
        }
    }
    findings
}

/// Ends come before beginnings at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Ends,
    Begins,
}

/// What is wrong with one stretch of memory, of which each class in `open` has members.
fn pairs(
    open: &BTreeMap<Class, BTreeSet<usize>>,
    memory: PhysRange,
    survey: &Survey,
    names: (Mair, &Regions),
) -> Vec<Finding> {
    let first = |class| {
        let index = open.get(&class)?.first()?;
        survey.leaves.get(*index)
    };
    let found = PAIRS.into_iter().filter_map(|(protected, opened, kind)| {
        let (protected, opened) = (first(protected)?, first(opened)?);
        Some(finding(kind, (protected, opened), memory, (survey, names)))
    });
    found.collect()
}

fn finding(
    kind: Kind,
    (protected, opened): (&Leaves, &Leaves),
    output: PhysRange,
    (survey, (mair, regions)): (&Survey, (Mair, &Regions)),
) -> Finding {
    let input = |leaves: &Leaves| -> VirtAddr {
        let offset = output.start().offset_from(leaves.mapped.output).unwrap_or(0);
        leaves.range.start().wrapping_add(offset)
    };
    let says = |leaves: &Leaves| match kind {
        Kind::Memtype => memory(mair, leaves.mapped.meaning),
        Kind::Unread | Kind::Wx | Kind::XAlias | Kind::RoAlias | Kind::User | Kind::Image => {
            rights(survey.geometry, leaves.mapped)
        }
    };
    Finding {
        kind,
        weight: Weight::Noted,
        start: Hex(input(protected).value()),
        bytes: output.bytes(),
        region: regions.at(input(protected)),
        rights: says(protected),
        output: Some(Hex(output.start().value())),
        alias: Some(Alias {
            start: Hex(input(opened).value()),
            region: regions.at(input(opened)),
            rights: rights(survey.geometry, opened.mapped),
            memory: memory(mair, opened.mapped.meaning),
        }),
        why: None,
        symbol: None,
    }
}

/// The classes that leaves belong to.
fn classes(
    survey: &Survey,
    leaves: &Leaves,
    (mair, regions): (Mair, &Regions),
) -> [Option<Class>; 4] {
    let pair = leaves.mapped.rights(survey.geometry);
    let region = regions.at(leaves.range.start());
    let (is_open, is_code) = (pair.writable(), pair.executable());
    let is_linear = region == Name::Linear;
    let treatment = treatment(mair.memory_type(memory_index(leaves.mapped.meaning)));
    [
        match (is_open, is_code) {
            (true, _) => Some(Class::Open),
            (false, true) => Some(Class::Code),
            (false, false) => (!is_linear).then_some(Class::Constant),
        },
        (is_open && is_linear).then_some(Class::OpenLinear),
        (!is_open && region == Name::Image).then_some(Class::Image),
        Some(Class::Type(treatment)),
    ]
}

const fn treatment(memory: MemoryType) -> Treatment {
    match memory {
        MemoryType::Device(_) | MemoryType::DeviceNoXs(_) => Treatment::Device,
        MemoryType::NormalTagged => Treatment::WriteBack,
        MemoryType::NonCacheableNoXs => Treatment::NonCacheable,
        MemoryType::WriteThroughNoXs => Treatment::WriteThrough,
        MemoryType::Reserved(_) => Treatment::Other,
        MemoryType::Normal { inner, .. } => match inner {
            Caching::NonCacheable => Treatment::NonCacheable,
            Caching::WriteThroughTransient(_) | Caching::WriteThrough(_) => Treatment::WriteThrough,
            Caching::WriteBackTransient(_) | Caching::WriteBack(_) => Treatment::WriteBack,
        },
    }
}
