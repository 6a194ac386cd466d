//! What owners do to the tables is judged, from the first table on.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use blockmap_model::judge::judge;
use blockmap_model::replay::judge_end;
use blockmap_model::text::read;

use crate::{WAYS, config};
use blockmap_verify::machine::{Booted, Config};

/// All owners, one after the other and beside each other, with what is refused between.
const SCRIPT: &str = "load on 1; secret 3; guard on; guard alloc 40 1; secret 2 4; share 0 2; \
                      guard alloc 64 0; share refuse; share free 1; share agree; secret free 1; \
                      hotremove 0xe0001000 0x3000; guard free 0xffff000000402fd8 1; share free 2; \
                      hotadd 0xe0001000 0x3000; dataalias off; secret free 2; dataalias on; \
                      share free 1; secret 600 0; guard off; load off 1";

#[track_caller]
fn accepted(options: &str, name: &str, script: &str) -> Booted {
    accepted_of(config(&format!("trace=262144 {options}"), ""), name, script)
}

/// Has the machine do what the script says, and sees that both judges accept its trace.
#[track_caller]
pub(crate) fn accepted_of(config: Config, name: &str, script: &str) -> Booted {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("owners-{name}"));
    // What an earlier run left would pass for this one's.
    let _ = fs::remove_file(&path);
    let script = format!("{script}; trace dump {}", path.display());
    let config = config.monitor(&script).limit(Duration::from_secs(300));
    let booted = Booted::run(&config).succeeded();
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}: {}", booted.console));
    assert!(text.contains("\n# dropped records: 0\n"), "{name}");
    let program = read(&text).unwrap_or_else(|error| panic!("{error}"));
    let verdicts = [judge_end(&program), judge(&program).verdicts].concat();
    let verdicts: Vec<String> = verdicts.iter().take(5).map(ToString::to_string).collect();
    assert!(verdicts.is_empty(), "{name}: {}\n{}", verdicts.join("\n"), booted.console);
    booted
}

#[test]
fn what_all_owners_do_is_judged() {
    for (number, way) in WAYS.into_iter().enumerate() {
        let booted = accepted(&format!("guard-pool=late {way}"), &number.to_string(), SCRIPT);
        assert!(
            booted.answer("secret 2 4").starts_with("secret 2: 2 pieces"),
            "{}",
            booted.console
        );
        assert!(booted.answer("share free 2").ends_with("done\n"), "{}", booted.console);
        assert_eq!(booted.answer("dataalias off"), "done\n");
    }
}

#[test]
fn an_early_pool_and_memory_that_comes_are_judged() {
    let script = "guard alloc 8; guard alloc 16 1; hotadd 0x100000000 0x200000; \
                  guard free 0xffff000000402ff8 1; hotadd 0x100200000 0x3fe00000; secret 700; \
                  hotremove 0x120000000 0x1000; secret free 1";
    let options = "guard-pool=early hotplug=0x40000000";
    for (number, way) in WAYS.into_iter().enumerate() {
        let booted = accepted(&format!("{options} {way}"), &format!("early-{number}"), script);
        assert_eq!(booted.answer("hotadd 0x100200000 0x3fe00000"), "done\n");
        assert_eq!(booted.answer("hotremove 0x120000000 0x1000"), "done\n");
    }
}
