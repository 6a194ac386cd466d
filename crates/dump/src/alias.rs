//! The check that memory protected through one mapping is not writable through another.

use blockmap_vmsa::machine::{PhysRange, VirtRange};

use crate::{Mapped, ReadTable, Tree, What};

/// Which mappings are looked for writable aliases of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Those that someone can execute.
    Executable,
    /// Those that nobody can store to.
    ReadOnly,
}

/// The same memory, protected through one mapping and writable through another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The memory.
    pub output: PhysRange,
    /// The run of leaves that protects it, of which it may be a part.
    pub protected: VirtRange,
    /// The run of leaves that lets it be written, of which it may be a part.
    pub writable: VirtRange,
}

/// The result of a search for writable aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AliasAudit {
    /// Pages of the protected tree's granule, each counted once for every pair of mappings.
    pub pages: u64,
    /// The first pair, by the protected mapping's address.
    pub first: Option<Alias>,
    /// Stretches that could not be read, each counted in every pass over its tree.
    pub skipped: u64,
}

impl<R: ReadTable> Tree<'_, R> {
    /// Looks for memory that this tree maps with `protection` and `other`, which may be the same
    /// tree or that of the other half, maps writable. Leaves that are invalid now are left out,
    /// and so are pages that are writable and executable through a single leaf: that is
    /// [`Tree::wx`]'s to find.
    ///
    /// It needs no memory and therefore reads the whole of `other` once for each protected run:
    /// good for a kernel, which has few.
    #[must_use]
    pub fn writable_aliases(&self, other: &Self, protection: Protection) -> AliasAudit {
        let mut audit = AliasAudit::default();
        for run in self.runs() {
            audit.skipped += u64::from(matches!(run.what, What::Skipped(_)));
            let (Some(mapped), Some(output)) = (run.mapped(), run.output()) else {
                continue;
            };
            let rights = mapped.rights(self.geometry);
            let is_protected = match protection {
                Protection::Executable => rights.executable(),
                Protection::ReadOnly => !rights.writable(),
            };
            if mapped.is_valid() && is_protected {
                self.add_aliases(other, (run.range, output), &mut audit);
            }
        }
        audit
    }

    /// Adds every writable run of `other` that shares memory with a protected one.
    fn add_aliases(
        &self,
        other: &Self,
        (protected, output): (VirtRange, PhysRange),
        audit: &mut AliasAudit,
    ) {
        let is_writable =
            |mapped: Mapped| mapped.is_valid() && mapped.rights(other.geometry).writable();
        for run in other.runs() {
            audit.skipped += u64::from(matches!(run.what, What::Skipped(_)));
            let shared = run.output().and_then(|own| own.intersection(output));
            let (Some(mapped), Some(shared)) = (run.mapped(), shared) else {
                continue;
            };
            if run.range == protected || !is_writable(mapped) {
                continue;
            }
            let pages = shared.bytes() >> self.geometry.granule().page_bits();
            audit.pages = audit.pages.saturating_add(pages);
            audit.first =
                audit.first.or(Some(Alias { output: shared, protected, writable: run.range }));
        }
    }
}
