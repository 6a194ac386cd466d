//! What leaves of a range grant, read without a lock: entry by entry as it is at that moment.

use blockmap_machine::{Machine, Pattern, VirtAddr, VirtRange};
use blockmap_vmsa::{Kind, bits};

use crate::{Platform, Space};

impl<P: Platform> Space<'_, P> {
    /// Whether the privileged level may load and store everywhere in `range`, as far as leaves say.
    #[must_use]
    pub fn is_writable(&self, range: VirtRange) -> bool {
        let _reader = self.reader();
        let mut next = Some(range.start());
        if !self.geometry().translates(range) {
            return false;
        }
        while let Some(at) = next {
            let place = self.find(at);
            let valid = place.leaves_like().filter(|_| place.kind == Kind::Leaf);
            let writable = valid.map(|like| Pattern { mask: like.mask | bits::READ_ONLY, ..like });
            let Some(writable) = writable.filter(|like| like.matches(place.word)) else {
                return false;
            };
            let span = self.span_up_to(place.table(), at, range.last());
            let count =
                if span.count == 1 { 1 } else { self.machine().scan(span, writable).max(1) };
            next = self.after((place.level, at), count, range.last());
        }
        true
    }

    /// The first address in `range` of a leaf that is held, valid or marked present: of a carve, or an alias
    /// that was narrowed.
    #[must_use]
    pub fn first_held(&self, range: VirtRange) -> Option<VirtAddr> {
        let _reader = self.reader();
        let mut next = Some(range.start()).filter(|_| self.geometry().translates(range));
        while let Some(at) = next {
            let place = self.find(at);
            let mut count = 1;
            if let Some(like) = place.leaves_like() {
                let free = Pattern { mask: like.mask | bits::HELD, ..like };
                if !free.matches(place.word) {
                    return Some(at);
                }
                let span = self.span_up_to(place.table(), at, range.last());
                if span.count > 1 {
                    count = self.machine().scan(span, free).max(1);
                }
            }
            next = self.after((place.level, at), count, range.last());
        }
        None
    }
}
