//! Areas never touch, and a gap is found again.

use proptest::prelude::*;

use super::*;

const START: VirtAddr = VirtAddr::new(0xffff_8001_0000_0000);
const PAGE: u64 = FRAME_BYTES;

fn areas(pages: u64) -> Areas {
    Areas::new(VirtRange::new(START, pages * PAGE).unwrap())
}

#[test]
fn what_is_no_number_of_pages_is_refused() {
    assert_eq!(areas(8).take(0), Err(AreaError::NotPages(0)));
    assert_eq!(areas(8).take(PAGE + 8), Err(AreaError::NotPages(PAGE + 8)));
    assert_eq!(areas(8).take(!0xfff), Err(AreaError::NoAddresses(!0xfff)));
}

#[test]
fn the_last_page_is_a_guard_page_too() {
    assert_eq!(areas(8).take(8 * PAGE), Err(AreaError::NoAddresses(8 * PAGE)));
    assert!(areas(8).take(7 * PAGE).is_ok());
}

#[test]
fn a_gap_is_used_again() {
    let mut areas = areas(1024);
    let taken = [(); 3].map(|()| areas.take(2 * PAGE).unwrap());
    assert_eq!(areas.give_back(taken[1].start()), Some(taken[1]));
    assert_eq!(areas.give_back(taken[1].start()), None);
    assert_eq!(areas.take(2 * PAGE), Ok(taken[1]));
}

#[test]
fn there_is_a_limit_to_their_number() {
    let mut areas = areas(4096);
    for _ in 0..MOST_AREAS {
        areas.take(PAGE).unwrap();
    }
    assert_eq!(areas.take(PAGE), Err(AreaError::TooMany));
}

#[test]
fn an_area_is_used_by_one_at_a_time_and_not_at_all_once_it_is_retired() {
    let mut areas = areas(64);
    let area = areas.take(3 * PAGE).unwrap();
    let part = VirtRange::new(START.wrapping_add(PAGE), 2 * PAGE).unwrap();
    let beyond = VirtRange::new(START.wrapping_add(PAGE), 3 * PAGE).unwrap();
    assert_eq!(areas.take_around(part), Err(UseError::Taken(START)));
    areas.settle(START);
    assert_eq!(areas.take_around(beyond), Err(UseError::NoArea(beyond)));
    assert_eq!(areas.take_at(part.start()), Err(UseError::NoStart(part.start())));
    assert_eq!(areas.take_around(part), Ok(area));
    assert_eq!(areas.take_at(START), Err(UseError::Taken(START)));
    areas.retire(START);
    assert_eq!(areas.take_at(START), Err(UseError::NoStart(START)));
    // Its addresses are not free before it is given back.
    assert_ne!(areas.take(PAGE).unwrap().start(), START);
    assert_eq!(areas.give_back(START), Some(area));
    assert_eq!(areas.take(PAGE).unwrap().start(), START);
}

proptest! {
    #[test]
    fn areas_never_touch(sizes in prop::collection::vec((1_u64..600, any::<bool>()), 1..120)) {
        let mut areas = areas(1 << 16);
        for (pages, drop_one) in sizes {
            let area = areas.take(pages * PAGE).unwrap();
            prop_assert!(area.start().is_aligned((1 << (pages * PAGE).ilog2()).min(RUN_BYTES)));
            if drop_one {
                let middle = areas.all()[areas.all().len() / 2].range;
                prop_assert_eq!(areas.give_back(middle.start()), Some(middle));
            }
            let apart = |two: &[Area]| {
                two[1].range.start().offset_from(two[0].range.last()) > Some(PAGE)
            };
            prop_assert!(areas.all().windows(2).all(apart));
        }
    }
}
