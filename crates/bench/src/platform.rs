//! The platform for hosts with a geometry that the compiler knows, as a kernel's is: what it does for
//! a host it does here, and the engine's sums fold.

use blockmap::host::{Held, Host, MayPark};
use blockmap::machine::{PhysAddr, VirtRange};
use blockmap::vmsa::Geometry;
use blockmap::{NotParked, Phase, Platform, Refusal, Scope, Switch, Terms, TopUp};

/// A host for one geometry, that of kernels with pages of 4 KiB: [`Known::GEOMETRY`].
#[derive(Debug)]
pub struct Known<'m>(Host<'m>);

impl<'m> Known<'m> {
    /// The geometry.
    pub const GEOMETRY: Geometry = Geometry::KERNEL_4K_48;

    /// The same as `host`, which was made for [`Known::GEOMETRY`].
    ///
    /// # Panics
    /// If it was made for another.
    #[must_use]
    pub fn new(host: Host<'m>) -> Self {
        assert_eq!(host.geometry(), Self::GEOMETRY, "another geometry than the one that is known");
        Self(host)
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host<'m> {
        &self.0
    }
}

impl<'m> Platform for Known<'m> {
    type Machine = Host<'m>;
    type MayPark = MayPark;
    type Held = Held;

    #[inline]
    fn geometry(&self) -> Geometry {
        Self::GEOMETRY
    }

    #[inline]
    fn machine(&self) -> &Host<'m> {
        &self.0
    }

    fn terms(&self) -> Terms {
        self.0.terms()
    }

    fn try_hold_terms(&self) -> Option<Terms> {
        self.0.try_hold_terms()
    }

    fn release_terms(&self) {
        self.0.release_terms();
    }

    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Held) {
        self.0.hold(scope, also)
    }

    fn let_go(&self, held: &Held) {
        self.0.let_go(held);
    }

    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        self.0.refusal(range)
    }

    fn top_up(&self, tables: u32) -> TopUp {
        self.0.top_up(tables)
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        self.0.reserve(tables)
    }

    fn unreserve(&self, tables: u32) {
        self.0.unreserve(tables);
    }

    fn take_table(&self) -> PhysAddr {
        self.0.take_table()
    }

    fn put_back_table(&self, table: PhysAddr) {
        self.0.put_back_table(table);
    }

    fn free_table(&self, table: PhysAddr) {
        self.0.free_table(table);
    }

    fn quiesce(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        self.0.quiesce(may_park, switch)
    }

    fn enter_reader(&self) -> Phase {
        self.0.enter_reader()
    }

    fn leave_reader(&self, phase: Phase) {
        self.0.leave_reader(phase);
    }

    fn wait_for_readers(&self) {
        self.0.wait_for_readers();
    }
}
