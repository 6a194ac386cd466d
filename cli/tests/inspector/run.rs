//! Running the program, and what came of it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) text: String,
    pub(crate) errors: String,
}

/// Runs the program with these arguments.
pub(crate) fn blockmap(arguments: &[&str]) -> Done {
    let output = Command::new(env!("CARGO_BIN_EXE_blockmap"))
        .arg("--quiet")
        .args(arguments)
        .output()
        .unwrap();
    Done {
        status: output.status.code().unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program, which must succeed without a finding, and gives its text.
pub(crate) fn text(arguments: &[&str]) -> String {
    let done = blockmap(arguments);
    assert_eq!((done.status, &*done.errors), (0, ""), "{}", done.text);
    done.text
}

/// Runs the program for JSON, and gives the document with the status.
pub(crate) fn json(arguments: &[&str]) -> (i32, Value) {
    let done = blockmap(&[arguments, &["--json"]].concat());
    let document = serde_json::from_str(&done.text);
    (done.status, document.unwrap_or_else(|error| panic!("{error}: {done:?}")))
}

/// A file for this test alone.
pub(crate) fn file(name: &str) -> String {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).to_str().unwrap().to_owned()
}
