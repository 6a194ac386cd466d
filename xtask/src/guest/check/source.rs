//! Every source of one stopped machine, against the image of its memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::blockmap::Blockmap;
use super::report::Report;
use super::{Bench, RAM_BASE, compare};
use crate::guest::kind::Kind;
use crate::guest::qmp::Qmp;
use crate::guest::running::{self, Start};
use crate::qemu::{Backing, QMP, Size};

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
    let offered = qmp.execute("query-dump-guest-memory-capability", &json!({}))?;
    let offered = offered["formats"].as_array().cloned().unwrap_or_default();
    for (format, name) in DUMPS {
        if !offered.contains(&json!(format)) {
            report.untried(bench.kind.name(), name, "this QEMU does not write it");
            continue;
        }
        let path = folder.join(format);
        let same =
            dumped(&mut qmp, format, &path).and_then(|()| same(bench, &path.to_string_lossy()));
        report.row(bench.kind.name(), name, same);
        // Gigabytes, which nobody reads any more; that it was never written is told already.
        let _ = fs::remove_file(&path);
    }
    let snapshot = folder.join("snapshot").to_string_lossy().into_owned();
    let snap = bench.blockmap.run(&["snap", &bench.image, "-o", &snapshot]);
    let size = |_| Ok(format!("{} KiB", fs::metadata(&snapshot)?.len() >> 10));
    report.row(
        bench.kind.name(),
        "snapshot",
        snap.and_then(size).and_then(|size| Ok(format!("{}, {size}", same(bench, &snapshot)?))),
    );
    let gdb = "gdb.sock";
    let begun = qmp.human(&format!("gdbserver unix:{gdb},server=on,wait=off"));
    // The machine protocol is for one client at a time.
    drop(qmp);
    let source = format!("qmp:{}", folder.join(QMP).display());
    report.row(bench.kind.name(), "QMP", same(bench, &source));
    report.row(
        bench.kind.name(),
        "time of a dump by QMP",
        bench.blockmap.timed(&["dump", &source]),
    );
    begun.context("QEMU has no gdbstub")?;
    let source = format!("gdb:{}", folder.join(gdb).display());
    report.row(bench.kind.name(), "gdbstub", same(bench, &source));
    // A machine that others read is as it was.
    report.row(bench.kind.name(), "the image, again", same(bench, &bench.image));
    Ok(())
}

/// Reads a machine that shares its memory with nobody, as QEMU hands it out in pieces, and compares
/// it with all of it at once.
pub(super) fn unshared(kind: Kind, memory: &Size, blockmap: &Blockmap) -> Result<String> {
    let programs = Vec::new();
    let memory = memory.clone();
    let bytes = memory.bytes();
    let guest = running::start(kind, &Start { backing: Backing::Private, memory, programs })?;
    let mut qmp = guest.qmp()?;
    qmp.execute("stop", &json!({}))?;
    let image = guest.folder.join("image");
    let whole = json!({ "val": RAM_BASE, "size": bytes, "filename": image.to_string_lossy() });
    qmp.execute("pmemsave", &whole)?;
    drop(qmp);
    let image = blockmap.run(&["dump", &format!("{}@{RAM_BASE:#x}", image.display())])?;
    let source = format!("qmp:{}", guest.folder.join(QMP).display());
    let seen = compare::texts(&blockmap.run(&["dump", &source])?, &image)?;
    Ok(format!("{seen}; {}", blockmap.timed(&["dump", &source])?))
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
