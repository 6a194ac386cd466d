//! This project's own kernel, which writes down nothing about itself: read by its registers, and
//! compared with what it prints.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::blockmap::Blockmap;
use super::compare;
use crate::guest::running::Running;
use crate::qemu::{CONSOLE, QMP};

/// How the line behind a dump begins.
const END: &str = "Checked W+X";

/// Has it print its tables, stops it and reads them.
pub(super) fn check(guest: &Running, blockmap: &Blockmap) -> Result<String> {
    let own = printed(&guest.folder.join(CONSOLE))?;
    guest.qmp()?.execute("stop", &json!({}))?;
    let source = format!("qmp:{}", guest.folder.join(QMP).display());
    compare::leaves(&own, &blockmap.run(&["dump", &source])?)
}

/// What the kernel prints for `ptdump`.
fn printed(console: &Path) -> Result<String> {
    let mut stream = UnixStream::connect(console).context("no console")?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"ptdump\n")?;
    let mut text = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.context("the kernel does not answer to `ptdump`")?;
        let line = line.trim_end();
        if line.starts_with(END) {
            ensure!(!text.is_empty(), "the kernel printed no tables");
            return Ok(text);
        }
        if line.starts_with("---[") || line.starts_with("0x") {
            text += line;
            text.push('\n');
        }
    }
    bail!("the kernel's console closed")
}
