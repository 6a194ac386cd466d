//! What is wrong with a mapping by itself.

use super::finding::{Finding, Kind, Weight};
use crate::number::Hex;
use crate::region::Regions;
use crate::survey::{Leaves, Survey};
use crate::words::rights;

/// Mappings that are wrong by themselves, and what could not be read.
pub(super) fn findings(survey: &Survey, regions: &Regions) -> Vec<Finding> {
    let unread = survey.skipped.iter().map(|(range, why)| Finding {
        kind: Kind::Unread,
        weight: Weight::Noted,
        start: Hex(range.start().value()),
        bytes: range.bytes(),
        region: regions.at(range.start()),
        rights: "?".to_owned(),
        output: None,
        alias: None,
        why: Some(why.clone()),
        symbol: None,
    });
    let mut findings: Vec<Finding> = unread.collect();
    for leaves in &survey.leaves {
        let pair = leaves.mapped.rights(survey.geometry);
        let is_kernels = survey.geometry.inputs().0.value() != 0;
        let is_open = pair.unprivileged.reads || pair.unprivileged.executes;
        let kinds = [
            pair.writable_and_executable().then_some(Kind::Wx),
            (is_kernels && is_open).then_some(Kind::User),
        ];
        for kind in kinds.into_iter().flatten() {
            let found = finding(survey, regions, leaves, kind);
            if !findings.iter_mut().rev().take(2).any(|last| last.absorb(&found)) {
                findings.push(found);
            }
        }
    }
    findings
}

fn finding(survey: &Survey, regions: &Regions, leaves: &Leaves, kind: Kind) -> Finding {
    Finding {
        kind,
        weight: Weight::Noted,
        start: Hex(leaves.range.start().value()),
        bytes: leaves.range.bytes(),
        region: regions.at(leaves.range.start()),
        rights: rights(survey.geometry, leaves.mapped),
        output: Some(Hex(leaves.mapped.output.value())),
        alias: None,
        why: None,
        symbol: None,
    }
}
