//! The judge on programs that the explorer has its own tests for.

use super::*;
use crate::text::read;

#[test]
fn a_permission_change_takes_its_barriers() {
    let heading = "root 0x40000000\ncpus 2\n\
        initially fill 0x40000000[0..512] 0x0 step 0x0\n\
        initially store 0x40000000[0] 0x40001003\n\
        initially fill 0x40001000[0..512] 0x60000080000701 step 0x40000000\n\
        cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n\
        update 0x40001000[0..1] clear 0x0 set 0x80\n";
    let first = |rest: &str| {
        let program = read(&format!("{heading}{rest}")).unwrap();
        judge(&program).verdicts.first().map(|verdict| verdict.rule)
    };
    let tlbi = "tlbi vaale1is 0xff000000000";
    assert_eq!(first(&format!("dsb ishst\n{tlbi}\ndsb ish\nisb\nachieved")), None);
    let unpublished = first(&format!("{tlbi}\ndsb ish\nisb\nachieved"));
    assert_eq!(unpublished, Some(Rule::InvalidateAfterPublish));
    let incomplete = first(&format!("dsb ishst\n{tlbi}\nisb\nachieved"));
    assert_eq!(incomplete, Some(Rule::CompleteAfterInvalidate));
    let unsynchronised = first(&format!("dsb ishst\n{tlbi}\ndsb ish\nachieved"));
    assert_eq!(unsynchronised, Some(Rule::SynchroniseAfterInvalidate));
}
