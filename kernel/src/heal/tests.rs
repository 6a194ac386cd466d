//! What waits, how long, and that nothing is forgotten.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const BASE: u64 = 0xffff_0000_0000_0000;

fn page_in(slot: u64) -> VirtRange {
    VirtRange::new(VirtAddr::new(BASE + slot * SLOT_BYTES + 0x5000), 0x1000).unwrap()
}

fn all(queue: &mut Queue, which: Which) -> Vec<u64> {
    let slots = core::iter::from_fn(|| queue.take(which));
    let mut slots: Vec<u64> =
        slots.map(|slot| (slot.start().value() - BASE) / SLOT_BYTES).collect();
    slots.sort_unstable();
    slots
}

#[test]
fn what_is_given_back_again_and_again_waits_until_it_is_quiet() {
    let mut queue = Queue::new();
    for _ in 0..QUIET_STEPS {
        queue.add(page_in(7));
        queue.step();
        assert_eq!(queue.take(Which::Ripe), None);
    }
    for _ in 1..QUIET_STEPS {
        assert_eq!(queue.take(Which::Ripe), None);
        queue.step();
    }
    assert_eq!(all(&mut queue, Which::Ripe), [7]);
    assert_eq!(queue.slots(), 0);
}

#[test]
fn what_is_never_quiet_is_healed_after_so_many_steps() {
    let mut queue = Queue::new();
    for step in 0..MOST_STEPS {
        queue.add(page_in(7));
        assert_eq!(queue.take(Which::Ripe), None, "after {step} steps");
        queue.step();
    }
    assert_eq!(all(&mut queue, Which::Ripe), [7]);
}

#[test]
fn parts_are_apart_as_long_as_there_is_room_and_then_the_nearest_are_one() {
    let mut queue = Queue::new();
    let slots: Vec<u64> = (0..).map(|number| number * 100).take(ROOM).collect();
    for slot in &slots {
        queue.add(page_in(*slot));
    }
    // It is nearest to one of those that are there.
    queue.add(page_in(203));
    // Those two are nearer to each other than anything is to this one.
    queue.add(page_in(100_000));
    let taken = all(&mut queue, Which::All);
    assert!(slots.iter().chain(&[203, 100_000]).all(|slot| taken.contains(slot)));
    // 200 to 203 first, then up to 300, as those were nearest.
    assert_eq!(taken.len(), ROOM + 100);
}

proptest! {
    #[test]
    fn nothing_that_was_given_back_is_forgotten(
        slots in proptest::collection::vec(0_u64..300, 0..60),
        taken in 0_usize..40,
    ) {
        let mut queue = Queue::new();
        let (before, after) = slots.split_at(slots.len() / 2);
        for slot in before.iter().copied() {
            queue.add(page_in(slot));
        }
        let mut seen: Vec<u64> = (0..taken)
            .filter_map(|_| queue.take(Which::All))
            .map(|slot| (slot.start().value() - BASE) / SLOT_BYTES)
            .collect();
        for slot in after.iter().copied() {
            queue.add(page_in(slot));
        }
        let waiting = queue.slots();
        let rest = all(&mut queue, Which::All);
        prop_assert_eq!(u64::try_from(rest.len()).unwrap(), waiting);
        let mut unique = rest.clone();
        unique.dedup();
        prop_assert_eq!(&unique, &rest);
        prop_assert!(after.iter().all(|slot| rest.contains(slot)));
        seen.extend(rest);
        prop_assert!(slots.iter().all(|slot| seen.contains(slot)));
    }
}
