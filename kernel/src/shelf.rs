//! What somebody keeps under a number, in a fixed number of places.
//!
//! ```
//! use blockmap_kernel::shelf::Shelf;
//!
//! let mut shelf: Shelf<&str, 2> = Shelf::new();
//! assert_eq!(shelf.put(7, "one"), Ok(()));
//! assert_eq!(shelf.put(7, "another"), Ok(()));
//! assert_eq!(shelf.put(8, "no room"), Err("no room"));
//! assert_eq!(shelf.take(7), Some("one"));
//! ```

/// Things with numbers, of which several may have the same one.
#[derive(Debug)]
pub struct Shelf<T, const PLACES: usize> {
    places: [Option<(u32, T)>; PLACES],
}

impl<T, const PLACES: usize> Shelf<T, PLACES> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: [const { None }; PLACES] }
    }

    /// How many things there can be.
    #[must_use]
    pub const fn places(&self) -> usize {
        PLACES
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps `thing` under `number`.
    ///
    /// # Errors
    /// There is no place left: `thing` comes back.
    pub fn put(&mut self, number: u32, thing: T) -> Result<(), T> {
        match self.places.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some((number, thing));
                Ok(())
            }
            None => Err(thing),
        }
    }

    /// Takes the first thing of this number, if there is one.
    pub fn take(&mut self, number: u32) -> Option<T> {
        self.take_where(|kept, _| kept == number)
    }

    /// Takes the first thing that `is_it`.
    pub fn take_where(&mut self, is_it: impl Fn(u32, &T) -> bool) -> Option<T> {
        let is_there = |place: &&mut Option<(u32, T)>| {
            place.as_ref().is_some_and(|(number, thing)| is_it(*number, thing))
        };
        self.places.iter_mut().find(is_there)?.take().map(|(_, thing)| thing)
    }

    /// All things, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().flatten().map(|(number, thing)| (*number, thing))
    }
}

impl<T, const PLACES: usize> Default for Shelf<T, PLACES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_place_that_is_free_again_is_used_again() {
        let mut shelf: Shelf<char, 3> = Shelf::new();
        for (number, thing) in [(1, 'a'), (2, 'b'), (1, 'c')] {
            assert_eq!(shelf.put(number, thing), Ok(()));
        }
        assert_eq!((shelf.put(3, 'd'), shelf.len(), shelf.places()), (Err('d'), 3, 3));
        assert_eq!((shelf.take(2), shelf.take(2)), (Some('b'), None));
        assert_eq!(shelf.put(3, 'd'), Ok(()));
        let all: Vec<(u32, &char)> = shelf.iter().collect();
        assert_eq!(all, [(1, &'a'), (3, &'d'), (1, &'c')]);
        assert_eq!(shelf.take_where(|_, thing| *thing == 'c'), Some('c'));
        assert_eq!([shelf.take(1), shelf.take(1), shelf.take(3)], [Some('a'), None, Some('d')]);
        assert!(shelf.is_empty());
    }
}
