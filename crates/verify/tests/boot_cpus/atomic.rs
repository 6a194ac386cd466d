//! Changes by someone who holds a lock, as an allocator does: nobody may be parked, so nothing can be
//! split, whatever the strategy.

use crate::{BREAKS, QUIET, boot};

#[test]
fn who_holds_a_lock_changes_what_is_split_and_is_told_why_it_can_split_nothing() {
    for cpu in [QUIET, BREAKS] {
        let script = "atomic ro 0xffff000055555000 1; split 0xffff000055555000 1; \
                      atomic invalid 0xffff000055555000 1; peek 0xffff000055555000; \
                      atomic valid 0xffff000055555000 1; peek 0xffff000055555000";
        let booted = boot((cpu, 4), "", script);
        let refused = "refused: the leaf at 0xffff000055555000 would have to change its size, and \
                       nobody may be parked here: choose a range of whole leaves\n";
        assert_eq!(booted.answer("atomic ro 0xffff000055555000 1"), refused);
        for change in ["invalid", "valid"] {
            assert_eq!(booted.answer(&format!("atomic {change} 0xffff000055555000 1")), "done\n");
        }
        let peeks: Vec<&str> = booted.answers("peek 0xffff000055555000").collect();
        let [gone, back] = peeks[..] else { panic!("{peeks:?}") };
        assert!(gone.starts_with("fault: translation fault, level 3"), "{gone}");
        assert!(back.starts_with("0xffff000055555000: 0x"), "{back}");
    }
}
