//! Guests that run: started into a folder of their own, left running or ended with their holder.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::console::{Console, READY};
use super::kind::{Kernel, Kind};
use super::qmp::Qmp;
use super::{folder, initramfs, kernel, stock};
use crate::qemu::{self, Backing, CONSOLE, CONSOLE_LOG, LinuxGuest, QMP};
use crate::{image, setup};

/// How the monitor of this project's kernel asks for a command.
const PROMPT: &str = "blockmap> ";

/// The longest that a guest may take to boot; emulated, on a machine that does other things.
const BOOT: Duration = Duration::from_secs(3 * 60);

/// The longest that a request may take in a guest.
pub(super) const REQUEST: Duration = Duration::from_secs(2 * 60);

/// The longest that a Unix socket's path may be.
const SOCKET_PATH_LIMIT_BYTES: usize = 107;

/// A guest that serves requests. Dropping it ends the machine, unless it is left running.
#[derive(Debug)]
pub(super) struct Running {
    /// Where its sockets and its memory are.
    pub(super) folder: PathBuf,
    machine: Option<Child>,
}

/// What a guest is started with, beyond what its kind says.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// Where its memory is.
    pub(super) backing: Backing,
    /// How much of it.
    pub(super) memory: qemu::Size,
    /// Programs to put at the top of its file system.
    pub(super) programs: Vec<PathBuf>,
}

/// Boots a guest and waits until it serves requests.
pub(super) fn start(kind: Kind, start: &Start) -> Result<Running> {
    let folder = prepared(kind)?;
    let (kernel, initramfs) = match kind.kernel() {
        Kernel::Package(metapackage) => {
            let stock = stock::find(metapackage)?;
            let initramfs = initramfs::write(&folder, &stock.modules, &start.programs)?;
            (stock.image, Some(initramfs))
        }
        Kernel::Built => (kernel::find()?, Some(initramfs::write(&folder, &[], &start.programs)?)),
        Kernel::Reference => {
            setup::bare_metal_target()?;
            (image::build()?.flat, None)
        }
    };
    let ready = if initramfs.is_some() { READY } else { PROMPT };
    let guest = LinuxGuest {
        cpu: kind.cpu().to_owned(),
        memory: start.memory.clone(),
        backing: start.backing,
        kernel,
        initramfs,
        options: kind.options().to_owned(),
    };
    let mut running = Running { machine: Some(spawn(&guest, &folder)?), folder };
    running.wait_for(ready)?;
    Ok(running)
}

/// An empty folder for a guest that does not run.
fn prepared(kind: Kind) -> Result<PathBuf> {
    let folder = place(kind);
    if Qmp::connect(&folder.join(QMP)).is_ok() {
        bail!("{kind} runs; to end it: cargo xtask guest stop {kind}");
    }
    let length = folder.join(CONSOLE).as_os_str().len();
    if length > SOCKET_PATH_LIMIT_BYTES {
        bail!(
            "{} is too long by {} bytes for a folder of sockets; set CARGO_TARGET_DIR to a shorter one",
            folder.display(),
            length - SOCKET_PATH_LIMIT_BYTES
        );
    }
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Starts `guest` in `folder`, in a process group of its own: Ctrl-C here is not meant for it.
fn spawn(guest: &LinuxGuest, folder: &Path) -> Result<Child> {
    let complaints = File::create(folder.join("complaints"))?;
    Command::new(qemu::program())
        .args(guest.arguments())
        .current_dir(folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(complaints)
        .spawn()
        .with_context(|| format!("cannot start {}", qemu::PROGRAM))
}

/// Where the guest's folder is, whether it runs or not.
pub(super) fn place(kind: Kind) -> PathBuf {
    folder().join("run").join(kind.name())
}

/// Whether it runs.
pub(super) fn runs(kind: Kind) -> bool {
    Qmp::connect(&place(kind).join(QMP)).is_ok()
}

/// Ends a guest that was left running, and removes what it left behind.
pub(super) fn stop(kind: Kind) -> Result<()> {
    let folder = place(kind);
    if let Ok(mut qmp) = Qmp::connect(&folder.join(QMP)) {
        let quit = qmp.execute("quit", &json!({}));
        // A machine may be gone before it has answered.
        if runs(kind) {
            quit.with_context(|| format!("{kind} still runs"))?;
        }
    }
    remove(&folder)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

impl Running {
    /// A connection to the machine.
    pub(super) fn qmp(&self) -> Result<Qmp> {
        Qmp::connect(&self.folder.join(QMP))
    }

    /// A connection to the guest's program.
    pub(super) fn console(&self) -> Result<Console> {
        Console::connect(&self.folder.join(CONSOLE), REQUEST)
    }

    /// Leaves the guest running after this program's end.
    pub(super) fn leave(mut self) -> PathBuf {
        self.machine = None;
        self.folder.clone()
    }

    fn wait_for(&mut self, ready: &str) -> Result<()> {
        let start = Instant::now();
        let log = self.folder.join(CONSOLE_LOG);
        loop {
            let bytes = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            if text.contains(ready) {
                return Ok(());
            }
            let ended = self.machine.as_mut().and_then(|machine| machine.try_wait().ok().flatten());
            if ended.is_some() || start.elapsed() > BOOT {
                let lines: Vec<&str> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(20)..].join("\n");
                let complaints = fs::read_to_string(self.folder.join("complaints"));
                bail!(
                    "the guest did not boot within {} s; its last lines:\n{last}\n{}",
                    start.elapsed().as_secs(),
                    complaints.unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(machine) = &mut self.machine {
            // Both fail only if it has ended already, which is what is wanted.
            let _ = machine.kill();
            let _ = machine.wait();
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
