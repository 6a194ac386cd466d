//! Real trees with random damage: whatever comes of it, nothing panics, and it ends.
//!
//! `BLOCKMAP_FUZZ_SECONDS=300 cargo test -p blockmap-kernel --test devicetree damage` goes on for
//! that long with seeds of its own; what it prints first replays a failure.

use std::time::{Duration, Instant, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{FIXTURES, read_all};

/// Damage to a blob. Places are modulo its length.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// One bit is the other way round.
    Flip(usize, u8),
    /// A number of one cell is another one.
    Cell(usize, u32),
    /// Some bytes are those of another place.
    Copy(usize, usize, usize),
    /// The blob ends early, and its header says so.
    Cut(usize),
}

/// Numbers that a parser may stumble over: tokens, edges, and what is near them.
const CELLS: [u32; 14] =
    [0, 1, 2, 3, 4, 8, 9, 16, 0x28, 0x7fff_ffff, 0x8000_0000, u32::MAX - 3, u32::MAX - 1, u32::MAX];

fn damage(blob: &mut Vec<u8>, damage: Damage) {
    let length = blob.len().max(1);
    let write = |blob: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        for (place, byte) in blob.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    match damage {
        Damage::Flip(at, bit) => {
            if let Some(byte) = blob.get_mut(at % length) {
                *byte ^= 1 << (bit % 8);
            }
        }
        Damage::Cell(at, value) => write(blob, at % length / 4 * 4, &value.to_be_bytes()),
        Damage::Copy(from, to, bytes) => {
            let copied: Vec<u8> =
                blob.iter().skip(from % length).take(bytes % 256).copied().collect();
            write(blob, to % length, &copied);
        }
        Damage::Cut(at) => {
            blob.truncate(at % length);
            let bytes = u32::try_from(blob.len()).unwrap();
            write(blob, 4, &bytes.to_be_bytes());
        }
    }
}

fn any_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        4 => (any::<usize>(), any::<Index>())
            .prop_map(|(at, cell)| Damage::Cell(at, *cell.get(&CELLS))),
        2 => (any::<usize>(), any::<usize>(), any::<usize>())
            .prop_map(|(from, to, bytes)| Damage::Copy(from, to, bytes)),
        1 => any::<usize>().prop_map(Damage::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn damage_of_any_kind_is_survived(
        fixture in any::<Index>(),
        damages in vec(any_damage(), 1..8),
    ) {
        let mut blob = fixture.get(&FIXTURES).to_vec();
        for one in damages {
            damage(&mut blob, one);
        }
        read_all(&blob);
    }
}

/// Random numbers that are the same for the same seed: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn index(&mut self) -> usize {
        usize::try_from(self.next() >> 32).unwrap()
    }

    fn damage(&mut self) -> Damage {
        match self.next() % 11 {
            0..4 => Damage::Flip(self.index(), self.next().to_be_bytes()[0]),
            4..8 => Damage::Cell(self.index(), CELLS[self.index() % CELLS.len()]),
            8..10 => Damage::Copy(self.index(), self.index(), self.index()),
            _ => Damage::Cut(self.index()),
        }
    }
}

/// Says how to see a panic again, when there is one.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "replay: BLOCKMAP_FUZZ_SEED={} cargo test -p blockmap-kernel --test devicetree damage",
                self.0
            );
        }
    }
}

fn survive(seed: u64) {
    let replay = Replay(seed);
    let mut random = Random(seed);
    let mut blob = FIXTURES[random.index() % FIXTURES.len()].to_vec();
    for _ in 0..random.next() % 12 {
        damage(&mut blob, random.damage());
    }
    let begun = Instant::now();
    read_all(&blob);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    drop(replay);
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn damage_is_survived_for_as_long_as_asked() {
    let seconds = from_environment("BLOCKMAP_FUZZ_SECONDS");
    let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    // The short run is the same every time; the long one never is, unless asked.
    let fresh = seconds.map_or(0, |_| clock << 24);
    let first = from_environment("BLOCKMAP_FUZZ_SEED").unwrap_or(fresh);
    eprintln!("seeds from {first} on");
    let begun = Instant::now();
    let mut seeds = first..;
    let mut count = 0_u64;
    while seconds.map_or(count < 4000, |seconds| begun.elapsed() < Duration::from_secs(seconds)) {
        survive(seeds.next().unwrap());
        count += 1;
    }
    eprintln!("{count} trees survived");
}
