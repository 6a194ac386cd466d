//! Table memory that runs out: whoever asks hears it before anything has changed, and what is given
//! back needs none.

use crate::{WAYS, boot, means_the_same, none_is_lost};

/// Sees that `command` is refused with every number of tables below what it takes, and that nothing
/// is lost; and that what it takes is given back by `back`, with none left.
fn check((options, command, back): (&str, &str, &str)) {
    for left in 0.. {
        assert!(left < 12, "{command} never succeeds");
        let script = format!(
            "stat; ptdump linear; {command}; stat; ptdump linear; {back}; stat; ptdump linear"
        );
        let booted = boot(&format!("{options} fail-tables={left}"), &script);
        let [before, _, after] = booted.stats().try_into().unwrap();
        none_is_lost(&before, &after);
        let [before, middle, after] = booted.dumps().try_into().unwrap();
        means_the_same(&before, &after);
        let answer = booted.answer(command);
        if !answer.contains("translation tables are needed") {
            assert!(!answer.contains("refused"), "{answer}");
            assert!(booted.answer(back).ends_with("done\n"), "{}", booted.console);
            return;
        }
        means_the_same(&before, &middle);
    }
}

#[test]
fn a_secret_is_refused_before_anything_changes() {
    for way in WAYS {
        check((way, "secret 3", "secret free 1"));
        check((way, "secret 2 0", "secret free 1"));
    }
}

#[test]
fn a_guard_pool_is_refused_before_anything_changes() {
    for way in WAYS {
        check((&format!("guard-pool=late {way}"), "guard on", "guard off"));
    }
}

#[test]
fn a_share_is_refused_before_anything_changes() {
    for way in WAYS {
        check((way, "share 0", "share free 1"));
    }
}
