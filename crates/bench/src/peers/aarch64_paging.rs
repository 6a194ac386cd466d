//! `aarch64-paging`, of Google: memory appears at its own address, tables are the allocator's.

use aarch64_paging::descriptor::El1Attributes;
use aarch64_paging::linearmap::LinearMap;
use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, VaRange};
use blockmap::vmsa::Leaves;

use super::{MEMORY, number, word};
use crate::subject::{PAGE, Part, Refused, Subject, Tree};

/// The library.
#[derive(Debug)]
pub struct AarchPaging;

impl Subject for AarchPaging {
    const NAME: &'static str = "aarch64-paging 0.12.3";
    type Tree<'m> = LinearMap<El1And0>;

    fn with_tree<R>(_: usize, work: impl FnOnce(&mut LinearMap<El1And0>) -> R) -> R {
        work(&mut LinearMap::with_asid(1, 0, 0, El1And0, VaRange::Lower))
    }
}

fn region(first: u64, bytes: u64) -> MemoryRegion {
    MemoryRegion::new(word(MEMORY + first), word(MEMORY + first + bytes))
}

fn data() -> El1Attributes {
    El1Attributes::VALID
        | El1Attributes::ACCESSED
        | El1Attributes::INNER_SHAREABLE
        | El1Attributes::PXN
        | El1Attributes::UXN
}

fn refused(why: impl ToString) -> Refused {
    Refused(why.to_string())
}

impl Tree for LinearMap<El1And0> {
    fn map(&mut self, part: Part, leaves: Leaves) -> Result<(), Refused> {
        let constraints = match leaves {
            Leaves::Largest => Constraints::empty(),
            Leaves::Pages => Constraints::NO_BLOCK_MAPPINGS | Constraints::NO_CONTIGUOUS_HINT,
        };
        let region = region(part.first, part.bytes);
        self.map_range_with_constraints(&region, data(), constraints).map_err(refused)
    }

    fn read_only(&mut self, part: Part) -> Result<(), Refused> {
        // Tables that lie idle: of tables in use this library changes no sizes.
        self.modify_range(&region(part.first, part.bytes), &|_, descriptor| {
            if descriptor.is_table() {
                return Ok(());
            }
            descriptor.modify_flags(El1Attributes::READ_ONLY, El1Attributes::empty())
        })
        .map_err(refused)
    }

    fn translate(&self, offset: u64) -> Option<u64> {
        // It has no question for one address, but walks ranges.
        let mut found = None;
        let page = offset & !(PAGE - 1);
        let walked = self.walk_range(&region(page, PAGE), &mut |_, descriptor, level| {
            if descriptor.is_valid() && (level == 3 || !descriptor.is_table_or_page()) {
                let within = (PAGE << (9 * (3 - level))) - 1;
                let address = MEMORY + offset;
                found = Some(number(descriptor.output_address().0) + (address & within) - MEMORY);
            }
            Ok(())
        });
        walked.ok().and(found)
    }

    fn is_writable(&self, offset: u64) -> bool {
        let mut writable = false;
        let page = offset & !(PAGE - 1);
        let walked = self.walk_range(&region(page, PAGE), &mut |_, descriptor, level| {
            if descriptor.is_valid() && (level == 3 || !descriptor.is_table_or_page()) {
                writable = !descriptor.flags().contains(El1Attributes::READ_ONLY);
            }
            Ok(())
        });
        walked.is_ok() && writable
    }

    fn mapped_bytes(&self) -> u64 {
        let mut bytes = 0;
        let end = 1 << 48;
        let all = MemoryRegion::new(0, end);
        let walked = self.walk_range(&all, &mut |part, descriptor, level| {
            if descriptor.is_valid() && (level == 3 || !descriptor.is_table_or_page()) {
                bytes += number(part.end().0 - part.start().0);
            }
            Ok(())
        });
        walked.map_or(0, |()| bytes)
    }
}
