//! What a guest needs before it can serve: file systems, modules, a console that changes nothing.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::mount::{MountFlags, mount};
use rustix::system::init_module;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Where the modules are that the guest is to load, in the order of their names.
const MODULES: &str = "/modules";

/// Sets the guest up as far as its kernel can, and says what it could not.
pub(crate) fn set_up() -> Vec<String> {
    let mut complaints = Vec::new();
    let mut note = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            complaints.push(format!("{what}: {error}"));
        }
    };
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("debugfs", "/sys/kernel/debug")] {
        note(place, mount_there(kind, place));
    }
    note("the console", console_as_it_is());
    for module in modules() {
        note(&module.display().to_string(), load(&module));
    }
    // What the kernel prints from now on would stand in the middle of answers.
    note("the kernel's messages", fs::write("/proc/sys/kernel/printk", "0 0 0 0"));
    complaints
}

fn mount_there(kind: &str, place: &str) -> io::Result<()> {
    if kind != "debugfs" {
        fs::create_dir_all(place)?;
    }
    Ok(mount(kind, place, kind, MountFlags::empty(), None)?)
}

/// Bytes come and go as they are: no echo, no line ends added.
fn console_as_it_is() -> io::Result<()> {
    let console = io::stdin();
    let mut modes = tcgetattr(&console)?;
    modes.make_raw();
    Ok(tcsetattr(&console, OptionalActions::Now, &modes)?)
}

fn modules() -> Vec<PathBuf> {
    let entries = fs::read_dir(MODULES).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn load(module: &PathBuf) -> io::Result<()> {
    let image = fs::read(module)?;
    Ok(init_module(&image, &CString::default())?)
}
