//! What is odd about a descriptor, and what it is likely to mean.

use blockmap_dump::vmsa::{
    Descriptor, Geometry, Level, bits,
    descriptor::{AccessFlag, Contiguity, Leaf, Sharing, Stores, Unprivileged, Validity},
};
use blockmap_dump::{Limits, RightsPair};

/// Remarks on `word` at `level`, none for what is usual.
pub(crate) fn hints(geometry: Geometry, level: Level, word: u64) -> Vec<String> {
    match geometry.decode(level, word) {
        Descriptor::Invalid(0) => Vec::new(),
        Descriptor::Invalid(_) => {
            vec!["bit 0 is clear: walks fault, and every other bit is software's".to_owned()]
        }
        Descriptor::Reserved(_) => {
            let fits = Level::ALL.into_iter().filter(|other| geometry.leaf_size(*other).is_some());
            let fits = fits.filter(|other| *other != Level::L3).map(Level::number);
            let levels: Vec<_> = fits.map(|level| level.to_string()).collect();
            let levels = levels.join(" and ");
            vec![format!("bit 1 is clear, as in a block, which this granule has at level {levels}")]
        }
        Descriptor::Table(table) => reserved(table.residue).into_iter().collect(),
        Descriptor::Leaf(leaf) => {
            let mut hints = of_rights(geometry, word);
            hints.extend(of_fields(geometry, &leaf));
            hints.extend(reserved(leaf.residue));
            if word & bits::CONTIGUOUS != 0 && geometry.run_size(level).is_none() {
                hints.push("the contiguous bit is set where there are no runs".to_owned());
            }
            let run = geometry.run_size(level).filter(|_| leaf.contiguity == Contiguity::Run);
            hints.extend(run.map(|run| {
                let base = leaf.output.align_down(run.bytes());
                format!(
                    "if its run is sound, its {} leaves map memory from {base} on",
                    run.entries()
                )
            }));
            hints
        }
    }
}

fn of_rights(geometry: Geometry, word: u64) -> Vec<String> {
    let rights = RightsPair::of(geometry, word, Limits::NONE);
    let mut hints = Vec::new();
    if rights.writable_and_executable() {
        hints.push("writable and executable".to_owned());
    }
    if rights.unprivileged.executes && !rights.unprivileged.reads {
        hints.push("EL0 may execute what it cannot read".to_owned());
    }
    hints
}

fn of_fields(geometry: Geometry, leaf: &Leaf) -> Vec<String> {
    let has_two = geometry.regime().has_unprivileged();
    let hints = [
        (leaf.validity == Validity::PresentInvalid).then_some(
            "invalid, but marked present: Linux takes memory out of the linear map like this",
        ),
        (leaf.accessed == AccessFlag::Clear && leaf.validity == Validity::Valid)
            .then_some("the access flag is clear: no TLB holds it"),
        (leaf.sharing == Sharing::Reserved).then_some("SH is 0b01, which is reserved"),
        (leaf.unprivileged == Unprivileged::Denied && !has_two)
            .then_some("AP[1] is RES1 in a regime with one exception level"),
        (leaf.unprivileged == Unprivileged::Allowed && has_two && leaf.stores == Stores::Allowed)
            .then_some("EL0 can write it, so the kernel never executes it, whatever PXN says"),
    ];
    hints.into_iter().flatten().map(str::to_owned).collect()
}

/// A remark on bits that are RES0 and set.
fn reserved(residue: u64) -> Option<String> {
    let set: Vec<_> =
        (0..64).filter(|bit| residue >> bit & 1 != 0).map(|bit: u32| bit.to_string()).collect();
    (!set.is_empty()).then(|| {
        let plural = if set.len() == 1 { "bit" } else { "bits" };
        format!("{plural} {} should be zero here (RES0): another level or format?", set.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_has_no_remark_and_what_is_odd_has() {
        let kernel = Geometry::KERNEL_4K_48;
        assert!(hints(kernel, Level::L1, 0x0060_0000_8000_0701).is_empty());
        assert!(hints(kernel, Level::L1, 0).is_empty());
        let one = |level, word| {
            let hints = hints(kernel, level, word);
            assert_eq!(hints.len(), 1, "{hints:?}");
            hints[0].clone()
        };
        assert!(one(Level::L1, 0x0060_0000_8020_0701).contains("bit 21 should be zero"));
        assert!(one(Level::L3, 0x0040_0000_8000_0703).contains("writable and executable"));
        assert!(one(Level::L0, 0x0060_0000_8000_0701).contains("level 1 and 2"));
        assert!(one(Level::L2, 0x0060_0000_8000_0f00).contains("marked present"));
        assert!(one(Level::L2, 0x0070_0000_8020_0701).contains("from 0x80000000 on"));
    }
}
