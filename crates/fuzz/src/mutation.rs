//! Random changes of seeds: the same ones for the same number.

/// Numbers that readers stumble over, as bytes of either order.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    9,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x0001_0000_0000_0000,
    0xffff_0000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// The most bytes that changes make of a seed.
const MOST_BYTES: usize = 1 << 16;

/// Random numbers, and what is done with them.
#[derive(Clone, Debug)]
pub struct Mutations(u64);

impl Mutations {
    /// Those that `seed` leads to.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64.
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `limit`, or zero.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() >> 32).unwrap_or(0) % limit.max(1)
    }

    /// One of `seeds`, changed a few times; nothing where there is no seed.
    #[must_use]
    pub fn of(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let choice = self.below(seeds.len());
        let mut input = seeds.get(choice).cloned().unwrap_or_default();
        for _ in 0..=self.below(8) {
            self.change(&mut input, seeds);
        }
        input.truncate(MOST_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len());
        let end = (at + self.below(32)).min(input.len());
        match self.number() % 8 {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    [*byte, ..] = self.number().to_le_bytes();
                }
            }
            2 => self.write_number(at, input),
            3 => input.truncate(at),
            4 => input.drain(at..end).for_each(drop),
            5 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            6 => {
                let other = self.below(seeds.len());
                let other = seeds.get(other).map_or(&[][..], Vec::as_slice);
                let from = self.below(other.len());
                let part = other[from..(from + self.below(64)).min(other.len())].to_vec();
                input.splice(at..end, part);
            }
            _ => input.extend(self.number().to_le_bytes()),
        }
    }

    /// Writes a number at the edge of something, in one, two, four or eight bytes.
    fn write_number(&mut self, at: usize, input: &mut [u8]) {
        let choice = self.below(EDGES.len());
        let number = EDGES[choice];
        let count = 1 << self.below(4);
        let little = number.to_le_bytes().into_iter().take(count);
        let places = input.iter_mut().skip(at).take(count);
        if self.number().is_multiple_of(2) {
            places.zip(little).for_each(|(place, byte)| *place = byte);
        } else {
            places.rev().zip(little).for_each(|(place, byte)| *place = byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_leads_to_the_same_input() {
        let seeds = [vec![1, 2, 3], vec![4; 100]];
        let inputs = |seed| [(); 50].map(|()| Mutations::new(seed).of(&seeds));
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7)[0], inputs(8)[0]);
        assert!(Mutations::new(1).of(&[]).len() < 100);
    }
}
