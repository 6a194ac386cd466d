//! Objects that are taken, given back, and told of.

extern crate std;

use std::collections::BTreeSet;
use std::string::ToString;

use super::*;

const START: VirtAddr = VirtAddr::new(0xffff_0000_4000_0000);

fn at(ticks: u64) -> Moment {
    Moment { cpu: 1, ticks }
}

fn story(pool: &Pool, address: VirtAddr) -> std::string::String {
    pool.story(START, address).unwrap().to_string()
}

#[test]
fn objects_have_pages_of_their_own_with_a_guard_page_on_each_side() {
    let pool = Pool::new();
    let mut pages = BTreeSet::new();
    for number in 0..OBJECTS {
        let bytes = u64::from(number) * 16 + 1;
        let object = pool.take((START, bytes), at(number.into())).unwrap();
        assert_eq!((object.number, object.range.bytes()), (number, bytes));
        assert!(object.page.covers(object.range));
        assert!(object.range.start().is_aligned(8) && object.page.start().is_aligned(FRAME_BYTES));
        assert!(object.page.end().offset_from(object.range.end()).unwrap() < 8);
        assert!(pages.insert(object.page.start().offset_from(START).unwrap() / FRAME_BYTES));
    }
    assert!(pages.iter().all(|page| !pages.contains(&(page + 1)) && *page > 1));
    assert_eq!((pages.last().unwrap() + 2) * FRAME_BYTES, POOL_BYTES);
    assert_eq!(pool.take((START, 8), at(0)), Err(TakeError::Full));
    assert_eq!(pool.taken(), OBJECTS);
}

#[test]
fn what_was_given_back_last_is_taken_again_last() {
    let pool = Pool::new();
    let first = pool.take((START, 8), at(1)).unwrap();
    pool.give_back((START, first.range.start()), at(2)).unwrap();
    for number in 1..OBJECTS {
        assert_eq!(pool.take((START, 8), at(3)).unwrap().number, number);
    }
    assert_eq!(pool.take((START, 4096), at(4)).unwrap().number, 0);
    pool.forget();
    assert_eq!(pool.taken(), 0);
}

#[test]
fn sizes_that_are_none_are_refused() {
    let pool = Pool::new();
    for bytes in [0, 4097, 1 << 32] {
        assert_eq!(pool.take((START, bytes), at(0)), Err(TakeError::Bytes(bytes)));
    }
    assert_eq!(pool.taken(), 0);
}

#[test]
fn what_is_no_object_or_was_given_back_is_not_given_back() {
    let pool = Pool::new();
    let object = pool.take((START, 24), at(5)).unwrap();
    let address = object.range.start();
    for wrong in [object.page.start(), address.wrapping_add(8), START, object.page.end()] {
        let refused = pool.give_back((START, wrong), at(6));
        assert_eq!(refused, Err(GiveError::NoObject(wrong)));
    }
    let never = START.wrapping_add(4 * FRAME_BYTES);
    assert_eq!(pool.give_back((START, never), at(6)), Err(GiveError::NoObject(never)));
    assert!(pool.give_back((START, address), at(7)).is_ok());
    let twice = pool.give_back((START, address), at(8)).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "object 0, 24 bytes at 0xffff000040002fe8: taken by CPU 1 at tick 5, given back by CPU 1 at \
         tick 7; it can't be given back twice"
    );
}

#[test]
fn every_address_of_the_pool_has_its_story() {
    let pool = Pool::new();
    let object = pool.take((START, 24), at(5)).unwrap();
    let about = "object 0, 24 bytes at 0xffff000040002fe8: taken by CPU 1 at tick 5";
    assert_eq!(story(&pool, object.page.start()), about);
    assert_eq!(story(&pool, object.page.end()), std::format!("the guard page after {about}"));
    assert_eq!(story(&pool, START), std::format!("the guard pages before {about}"));
    let next = START.wrapping_add(4 * FRAME_BYTES);
    assert_eq!(story(&pool, next), "object 1: never taken");
    let last = START.wrapping_add(POOL_BYTES - 1);
    assert_eq!(story(&pool, last), "the guard page after object 254: never taken");
    assert_eq!(pool.story(START, START.wrapping_add(POOL_BYTES)), None);
    assert_eq!(pool.story(START, VirtAddr::new(0)), None);
}
