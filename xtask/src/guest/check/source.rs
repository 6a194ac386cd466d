//! Every source of one stopped machine, against the image of its memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::report::Report;
use super::{Bench, compare};
use crate::guest::qmp::Qmp;
use crate::qemu::QMP;

/// Dumps that QEMU writes: its name for the form, and what it is called here.
const DUMPS: [(&str, &str); 4] = [
    ("elf", "ELF core"),
    ("kdump-zlib", "kdump, zlib"),
    ("kdump-lzo", "kdump, lzo"),
    ("kdump-snappy", "kdump, snappy"),
];

/// Reads the machine by every way there is. The connection ends with it: QEMU has one at a time.
pub(super) fn all(bench: &Bench<'_>, mut qmp: Qmp, report: &mut Report) -> Result<()> {
    let folder = &bench.guest.folder;
    for (format, name) in DUMPS {
        let path = folder.join(format);
        let same =
            dumped(&mut qmp, format, &path).and_then(|()| same(bench, &path.to_string_lossy()));
        report.row(bench.kind, name, same);
        // Gigabytes, which nobody reads any more; that it was never written is told already.
        let _ = fs::remove_file(&path);
    }
    let snapshot = folder.join("snapshot").to_string_lossy().into_owned();
    let snap = bench.blockmap.run(&["snap", &bench.image, "-o", &snapshot]);
    let size = |_| Ok(format!("{} KiB", fs::metadata(&snapshot)?.len() >> 10));
    report.row(
        bench.kind,
        "snapshot",
        snap.and_then(size).and_then(|size| Ok(format!("{}, {size}", same(bench, &snapshot)?))),
    );
    let gdb = "gdb.sock";
    let begun = qmp.human(&format!("gdbserver unix:{gdb},server=on,wait=off"));
    // The machine protocol is for one client at a time.
    drop(qmp);
    let source = format!("qmp:{}", folder.join(QMP).display());
    report.row(bench.kind, "QMP", same(bench, &source));
    begun.context("QEMU has no gdbstub")?;
    let source = format!("gdb:{}", folder.join(gdb).display());
    report.row(bench.kind, "gdbstub", same(bench, &source));
    // A machine that others read is as it was.
    report.row(bench.kind, "the image, again", same(bench, &bench.image));
    Ok(())
}

/// Whether the dump of `source` is that of the image.
fn same(bench: &Bench<'_>, source: &str) -> Result<String> {
    compare::texts(&bench.blockmap.run(&["dump", source])?, &bench.expected)
}

fn dumped(qmp: &mut Qmp, format: &str, path: &Path) -> Result<()> {
    let protocol = format!("file:{}", path.display());
    let arguments = json!({ "paging": false, "protocol": protocol, "format": format });
    qmp.execute("dump-guest-memory", &arguments)?;
    Ok(())
}
