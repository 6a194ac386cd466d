//! What a system gives the engine: a machine, locks, terms, and table memory.

use core::fmt::Debug;

use blockmap_layout::Strategy;
use blockmap_machine::{Machine, PhysAddr, VirtRange};
use blockmap_vmsa::descriptor::Asids;
use blockmap_vmsa::{Geometry, TlbiForm};
use thiserror::Error;

use crate::Switch;

/// The system that a [`Space`](crate::Space) lives in: the one type parameter of this crate.
///
/// Every method takes `&self`; an operation calls them in this order, and lets go in reverse:
///
/// 1. [`hold`](Platform::hold): the plan owns what it gives until it is committed or dropped;
/// 2. [`reserve`](Platform::reserve): of a plan the last step that can fail, where nobody has to be parked;
/// 3. [`take_table`](Platform::take_table) and the machine's effects: the commit;
///    [`quiesce`](Platform::quiesce) within it, where a size changes and CPUs must be parked.
///
/// [`top_up`](Platform::top_up) is called with nothing held, because allocating may itself change
/// the map. [allocate-outside-commits]
pub trait Platform {
    /// Who performs the effects.
    type Machine: Machine;

    /// Proof that its holder may wait for other CPUs: its interrupts are enabled, and it holds no
    /// lock that somebody who must be parked might wait for. Only the platform can make one.
    type MayPark;

    /// What [`Platform::hold`] gave, to be let go of once.
    type Held: Debug;

    /// The shape of the table tree. A constant here folds into everything built on it.
    fn geometry(&self) -> Geometry;

    /// The machine that reaches this system's tables.
    fn machine(&self) -> &Self::Machine;

    /// Which ASIDs the leaves of the tree belong to: all that are made from here on, and those that become
    /// valid again. It is asked with locks held; [`Space::make_non_global`](crate::Space::make_non_global)
    /// changes the leaves that are there.
    fn asids(&self) -> Asids {
        Asids::Every
    }

    /// The terms at this moment: others may be in force when the caller looks at them, unless it holds
    /// them.
    fn terms(&self) -> Terms;

    /// Holds the terms without any lock. It never waits, and so can be called by who may hold them
    /// already: `None` while somebody is about to change them.
    fn try_hold_terms(&self) -> Option<Terms>;

    /// Gives back what [`Platform::try_hold_terms`] took.
    fn release_terms(&self);

    /// Waits until nobody else holds a lock of `scope`, nor one of `also`, and nobody is about to change
    /// the terms; takes all of them, and holds the terms that are in force: while anybody does, no CPU
    /// is admitted that would change them. Where neither scope changes the root, the caller is a reader
    /// besides, as of [`Platform::enter_reader`].
    ///
    /// An implementation with a lock for each slot takes them in ascending order, the root's last, each
    /// once, so that no two callers can wait for each other; it may lock what lies between the two scopes
    /// as well ([`Scope::hull`]).
    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Self::Held);

    /// Lets go of all of it.
    fn let_go(&self, held: &Self::Held);

    /// Why the leaves of `range` must not be removed or change their permissions, if they must not:
    /// the engine would lose the tables, or the system the memory it runs on. Of
    /// [`Refusal::ImageZone`] the sizes must not be changed either, and nothing is mapped there.
    ///
    /// It is asked with the locks of `range` held.
    fn refusal(&self, range: VirtRange) -> Option<Refusal>;

    /// Tries to have `tables` tables ready for [`Platform::reserve`], and tells whether there were
    /// so many. May allocate, and so may itself change the map: the caller holds nothing.
    fn top_up(&self, tables: u32) -> TopUp;

    /// Sets `tables` tables aside for the caller, all or none. The caller holds locks: only where
    /// allocating changes no map may an implementation allocate some here.
    ///
    /// # Errors
    /// How many there were; nothing is set aside.
    fn reserve(&self, tables: u32) -> Result<(), u32>;

    /// Gives back `tables` tables that were set aside and not taken.
    fn unreserve(&self, tables: u32);

    /// Takes one of the tables set aside: a multiple of the granule, of arbitrary content, that
    /// nothing points to. It cannot fail and does not allocate.
    fn take_table(&self) -> PhysAddr;

    /// Takes back a table that was taken and that no walker and no reader has ever reached: it is
    /// set aside again.
    fn put_back_table(&self, table: PhysAddr);

    /// Takes back a table that no walker and no reader can reach any more.
    fn free_table(&self, table: PhysAddr);

    /// Makes `switch` while no other CPU uses the tables or holds anything of them in its TLB:
    /// under [`Strategy::Quiesce`] sizes change here and nowhere else.
    ///
    /// It is called with the locks of the range held and the terms too, so whoever waits for
    /// either lets itself be parked meanwhile; so does whoever waits to park others. Everything
    /// that `switch` leads to is published. An implementation has every other CPU that is admitted
    /// leave the tables and invalidate its own TLB [parked-holds-nothing], makes
    /// [`Switch::perform`] with a machine that reaches [`Switch::tables`] whatever is broken, and
    /// lets the others return.
    ///
    /// # Errors
    /// A CPU did not arrive; nothing was changed, and it will not arrive late.
    fn quiesce(&self, may_park: &Self::MayPark, switch: &Switch) -> Result<(), NotParked>;

    /// Announces a reader of the tables: none is freed before it has left. What the reader loads
    /// afterwards is loaded after the announcement is visible to everyone.
    /// What it gives is to be given back once, when the reader leaves, by whichever CPU.
    fn enter_reader(&self) -> Phase;

    /// The reader that entered in `phase` has left: what it loaded, it loaded before anyone sees it gone.
    fn leave_reader(&self, phase: Phase);

    /// Waits until every reader that was there has left: whoever enters afterwards finds nothing that
    /// was unlinked before, and need not be waited for. Several may wait at once; none of them is a
    /// reader, or it would wait for itself.
    ///
    /// An implementation that waits for both phases to be empty, one after the other, while readers
    /// that come enter the other one, is not held up for ever by readers that follow each other
    /// without pause.
    fn wait_for_readers(&self);
}

/// When a reader came: one of two, which take turns, so that those who came before a moment can be told
/// from those who came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Where a system begins; and the only one of a system where nobody waits.
    Even,
    /// The other.
    Odd,
}

impl Phase {
    /// The one that takes turns with it.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }
}

/// What all admitted CPUs together allow. It holds still while a plan holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How a live leaf may change its size.
    pub strategy: Strategy,
    /// Which TLB maintenance instructions every CPU acts on.
    pub tlbi: TlbiForm,
}

/// What came of a request for table memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUp {
    /// As many tables as were asked for were ready at one moment. If they are gone when they are to
    /// be set aside, others got theirs: it is worth asking again.
    Enough,
    /// There is no memory for so many.
    Short,
}

/// A CPU that had to be parked did not arrive in time. The tables are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("CPU {cpu} did not come to be parked: take it offline, or try again")]
pub struct NotParked {
    /// The CPU.
    pub cpu: u32,
}

/// The locks an operation needs.
///
/// A slot is the subtree under one level 1 entry, counted from the half's lowest address; where the
/// root is below level 1, under one root entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The lowest slot.
    pub first_slot: u32,
    /// The highest slot, not below the first.
    pub last_slot: u32,
    /// Whether tables above the slots may be linked or unlinked.
    pub root: Root,
}

impl Scope {
    /// The smallest scope that has the locks of both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        let root = match (self.root, other.root) {
            (Root::Untouched, Root::Untouched) => Root::Untouched,
            (Root::Changes, _) | (_, Root::Changes) => Root::Changes,
        };
        Self {
            first_slot: self.first_slot.min(other.first_slot),
            last_slot: self.last_slot.max(other.last_slot),
            root,
        }
    }
}

/// What an operation does to the tables above the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Walks them, as a reader: the tables above the slots stay as they are.
    Untouched,
    /// May link and unlink them: excludes everyone else who may.
    Changes,
}

/// Why a range may not be the target of a permission change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It holds translation tables: the walk, and the engine, read and write them here.
    #[error("it holds translation tables")]
    Tables,
    /// It is another view of memory that the kernel itself runs on: what it grants stays as it is.
    /// Its sizes may change where no CPU can be using the view: when it is repainted.
    #[error("the kernel itself runs on it")]
    ImageAlias,
    /// It belongs to the kernel image, or to the zone of stacks, per-CPU data and windows beside
    /// it: the memory that a commit itself runs on.
    #[error("the kernel itself runs on it")]
    ImageZone,
}
