//! A machine found through QMP: its registers, its RAM, and how to leave it as it was.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use blockmap_vmsa::{Regime, machine::PhysRange};
use serde_json::{Value, json};

use super::mtree::{Part, ram};
use super::{QmpError, client::Client};
use crate::{
    GdbAddress, Life, Provenance, Registers, Topic,
    folder::Folder,
    gdb::{Gdb, Leave},
    raw::{FileMemory, Piece},
};

/// What opening a machine gives.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) machine: Machine,
    pub(crate) registers: Option<Registers>,
    /// The memory, where files hold it.
    pub(crate) shared: Option<FileMemory>,
}

/// A machine in QEMU. When the value is dropped, the machine runs if it did before.
#[derive(Debug)]
pub(crate) struct Machine {
    client: Client,
    folder: Folder,
    was_running: bool,
    has_stub: bool,
    ram: Vec<PhysRange>,
}

impl Machine {
    /// Connects, and reads registers and the map of memory.
    pub(crate) fn open(
        path: &Path,
        regime: Option<Regime>,
        origin: &mut Provenance,
    ) -> Result<Opening, QmpError> {
        let mut client = Client::connect(path)?;
        let status = client.execute("query-status", &json!({}))?;
        let was_running = status.get("running").and_then(Value::as_bool).unwrap_or(false);
        let state = if was_running { "running" } else { "stopped" };
        origin.add(Topic::Source, format!("QEMU machine at {}, {state}", path.display()));
        let parts = ram(&client.monitor("info mtree -f")?);
        if parts.is_empty() {
            return Err(QmpError::NoMemory);
        }
        let life = if was_running { Life::Running } else { Life::Still };
        let shared = shared_memory(&mut client, &parts, life, origin)?;
        let folder = Folder::new().map_err(|error| QmpError::Folder(error.to_string()))?;
        let mut machine = Self {
            client,
            folder,
            was_running,
            has_stub: false,
            ram: parts.iter().map(|part| part.range).collect(),
        };
        let registers = match machine.registers(regime, origin) {
            Ok(registers) => Some(registers),
            Err(error @ QmpError::Gdb(crate::GdbError::Interrupted)) => return Err(error),
            Err(error) => {
                origin.add(Topic::Warning, format!("no registers: {error}"));
                None
            }
        };
        Ok(Opening { machine, registers, shared })
    }

    /// Reads the registers through QEMU's gdbstub.
    fn registers(
        &mut self,
        regime: Option<Regime>,
        origin: &mut Provenance,
    ) -> Result<Registers, QmpError> {
        let address = self.stub()?;
        let leave = if self.was_running { Leave::Running } else { Leave::Stopped };
        let registers = Gdb::connect(&address, leave)?.registers(regime, origin);
        self.restore();
        Ok(registers?)
    }

    /// Where QEMU's gdbstub listens: one that is there already, unless somebody uses it, or one
    /// made for the purpose.
    fn stub(&mut self) -> Result<GdbAddress, QmpError> {
        let devices = self.client.execute("query-chardev", &json!({}))?;
        let stub = devices.as_array().and_then(|devices| {
            devices.iter().find(|device| device.get("label").is_some_and(|label| label == "gdb"))
        });
        if let Some(name) = stub.and_then(|stub| stub.get("filename")).and_then(Value::as_str) {
            let folder = self.client.folder().unwrap_or_default();
            return listening(name, &folder).ok_or_else(|| QmpError::Refused {
                command: "its gdbstub".to_owned(),
                answer: format!("it is in use: {name}"),
            });
        }
        let socket = self.folder.path().join("gdb");
        let device = format!("unix:{},server=on,wait=off", socket.display());
        let answer = self.client.monitor(&format!("gdbserver {device}"))?;
        self.has_stub = true;
        if !socket.exists() {
            return Err(QmpError::Refused { command: "gdbserver".to_owned(), answer });
        }
        Ok(GdbAddress::Unix(socket))
    }

    /// Where the machine has RAM.
    pub(super) fn ram(&self) -> &[PhysRange] {
        &self.ram
    }

    /// Makes the machine stand still.
    pub(super) fn stop(&mut self) -> Result<(), QmpError> {
        if self.was_running {
            self.client.execute("stop", &json!({}))?;
        }
        Ok(())
    }

    /// Has QEMU write ranges of memory into files, and reads those. What it refuses is left out.
    pub(super) fn save(
        &mut self,
        ranges: &[PhysRange],
    ) -> Result<Vec<(PhysRange, Vec<u8>)>, QmpError> {
        let folder = self.folder.path();
        let file = |index: usize| folder.join(format!("memory-{index}"));
        let mut arguments = Vec::with_capacity(ranges.len());
        for (index, range) in ranges.iter().enumerate() {
            arguments.push(json!({
                "val": range.start().value(), "size": range.bytes(), "filename": file(index),
            }));
        }
        let answers = self.client.execute_each("pmemsave", &arguments)?;
        let mut saved = Vec::with_capacity(ranges.len());
        for (index, (range, answer)) in ranges.iter().zip(answers).enumerate() {
            match answer {
                Ok(_) => {
                    let failed = |error: std::io::Error| QmpError::Folder(error.to_string());
                    saved.push((*range, fs::read(file(index)).map_err(failed)?));
                    // What takes much room is not kept; what is left goes with the folder.
                    let _ = fs::remove_file(file(index));
                }
                Err(error) if ranges.len() == 1 => return Err(error),
                Err(_) => {}
            }
        }
        Ok(saved)
    }

    /// Makes the machine run, or stand still, as it did before.
    fn restore(&mut self) {
        let status = self.client.execute("query-status", &json!({}));
        let is_running = status.ok().and_then(|status| status.get("running")?.as_bool());
        let command = match (self.was_running, is_running) {
            (true, Some(false)) => "cont",
            (false, Some(true)) => "stop",
            (_, _) => return,
        };
        let _ = self.client.execute(command, &json!({}));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.has_stub {
            let _ = self.client.monitor("gdbserver none");
        }
        self.restore();
    }
}

/// The address of a gdbstub that nobody is connected to, by the name of its character device:
/// `disconnected:tcp:0.0.0.0:1234,server=on`. Names of sockets are relative to `folder`.
fn listening(name: &str, folder: &Path) -> Option<GdbAddress> {
    let name = name.strip_prefix("disconnected:")?;
    let name = name.split(',').next()?;
    if let Some(path) = name.strip_prefix("unix:") {
        return Some(GdbAddress::Unix(folder.join(path)));
    }
    let (_, port) = name.strip_prefix("tcp:")?.rsplit_once(':')?;
    Some(GdbAddress::Tcp(format!("localhost:{port}")))
}

/// The memory by the files behind it, if each part has one that is shared and can be opened.
fn shared_memory(
    client: &mut Client,
    parts: &[Part],
    life: Life,
    origin: &mut Provenance,
) -> Result<Option<FileMemory>, QmpError> {
    let mut files = Vec::new();
    let mut pieces = Vec::new();
    let mut lines = Vec::new();
    for part in parts {
        let last = part.range.last();
        let place = format!("{} to {last}, {}", part.range.start(), part.region);
        let Some(path) = backing_file(client, &part.region)? else {
            origin.add(Topic::Memory, format!("{place}, not shared; asked for through QMP"));
            return Ok(None);
        };
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((held, file)) => {
                let held = held.saturating_sub(part.offset);
                let offset = part.offset;
                pieces.push(Piece { range: part.range, file: files.len(), offset, held });
                files.push(file);
            }
            Err(error) => {
                let text = format!("{place}: {}: {error}; asked for through QMP", path.display());
                origin.add(Topic::Memory, text);
                return Ok(None);
            }
        }
        lines.push(format!("{place}, shared file {}", path.display()));
    }
    for line in lines {
        origin.add(Topic::Memory, line);
    }
    Ok(Some(FileMemory::new(files, pieces, life)))
}

/// The file behind a memory backend, if it is shared.
fn backing_file(client: &mut Client, backend: &str) -> Result<Option<PathBuf>, QmpError> {
    let path = format!("/objects/{backend}");
    let mut property = |name: &str| {
        match client.execute("qom-get", &json!({ "path": path, "property": name })) {
            Ok(value) => Ok(Some(value)),
            // There is no such backend, or it is of a kind that has no file.
            Err(QmpError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    if property("share")? != Some(Value::Bool(true)) {
        return Ok(None);
    }
    let file = property("mem-path")?;
    let file = file.as_ref().and_then(Value::as_str).map(PathBuf::from);
    Ok(file.map(|file| match client.folder() {
        Some(folder) if file.is_relative() => folder.join(file),
        Some(_) | None => file,
    }))
}
