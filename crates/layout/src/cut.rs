//! Ranges with other ranges cut out of them, in one pass over both.

use blockmap_vmsa::machine::PhysRange;

/// What is left of ascending disjoint `whole` ranges without the bytes of `cuts`, which are
/// ascending and disjoint too.
#[derive(Clone, Debug)]
pub(crate) struct Cut<'c, I> {
    whole: I,
    rest: Option<PhysRange>,
    cuts: &'c [PhysRange],
}

impl<'c, I: Iterator<Item = PhysRange>> Cut<'c, I> {
    pub(crate) const fn new(whole: I, cuts: &'c [PhysRange]) -> Self {
        Self { whole, rest: None, cuts }
    }
}

impl<I: Iterator<Item = PhysRange>> Iterator for Cut<'_, I> {
    type Item = PhysRange;

    fn next(&mut self) -> Option<PhysRange> {
        // Each turn uses up a whole range or a cut, or returns.
        loop {
            let rest = self.rest.take().or_else(|| self.whole.next())?;
            let Some((cut, later)) = self.cuts.split_first() else {
                return Some(rest);
            };
            if cut.last() < rest.start() {
                self.cuts = later;
                self.rest = Some(rest);
            } else if rest.last() < cut.start() {
                return Some(rest);
            } else {
                self.rest = cut
                    .last()
                    .checked_add(1)
                    .and_then(|above| PhysRange::inclusive(above, rest.last()));
                let below = cut
                    .start()
                    .checked_sub(1)
                    .and_then(|below| PhysRange::inclusive(rest.start(), below));
                if below.is_some() {
                    return below;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockmap_vmsa::machine::PhysAddr;

    fn ranges(pairs: &[(u64, u64)]) -> std::vec::Vec<PhysRange> {
        let range = |(start, end): &(u64, u64)| {
            PhysRange::inclusive(PhysAddr::new(*start), PhysAddr::new(*end))
        };
        pairs.iter().map(|pair| range(pair).unwrap()).collect()
    }

    extern crate std;

    /// Cuts `cuts` out of `whole`; both as first and last byte.
    fn check(whole: &[(u64, u64)], cuts: &[(u64, u64)], left: &[(u64, u64)]) {
        let cuts = ranges(cuts);
        let cut = Cut::new(ranges(whole).into_iter(), &cuts);
        assert_eq!(cut.collect::<std::vec::Vec<_>>(), ranges(left));
    }

    #[test]
    fn what_is_cut_out_is_missing_and_nothing_else() {
        check(&[(0, 9)], &[], &[(0, 9)]);
        check(&[(0, 9)], &[(3, 4)], &[(0, 2), (5, 9)]);
        check(&[(0, 9)], &[(0, 4)], &[(5, 9)]);
        check(&[(5, 9)], &[(0, 5)], &[(6, 9)]);
        check(&[(0, 5)], &[(5, 9)], &[(0, 4)]);
        check(&[(5, 9)], &[(0, 6), (8, 20)], &[(7, 7)]);
        check(&[(0, 9), (20, 29), (40, 49)], &[(5, 44)], &[(0, 4), (45, 49)]);
        check(&[(0, 9), (20, 29)], &[(0, 9)], &[(20, 29)]);
        check(&[(0, u64::MAX - 1)], &[(9, u64::MAX)], &[(0, 8)]);
        check(&[(1, u64::MAX)], &[(5, 6)], &[(1, 4), (7, u64::MAX)]);
    }
}
