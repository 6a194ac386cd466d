//! The arguments that make QEMU boot a Linux guest whose tables are to be read from outside.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Size;

/// A Linux guest. Its sockets and files are in the folder that QEMU is started in: [`QMP`],
/// [`CONSOLE`], [`CONSOLE_LOG`], and [`RAM`] if its memory is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxGuest {
    /// QEMU's CPU model with its properties.
    pub cpu: String,
    /// Its memory.
    pub memory: Size,
    /// Where its memory is.
    pub backing: Backing,
    /// The kernel, as an image that QEMU loads.
    pub kernel: PathBuf,
    /// The archive of its first file system; none for a kernel that needs none.
    pub initramfs: Option<PathBuf>,
    /// The kernel's options.
    pub options: String,
}

/// Where a guest's memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// In a file that others can read.
    Shared,
    /// In QEMU alone.
    Private,
}

/// The socket of QEMU's machine protocol.
pub const QMP: &str = "qmp.sock";
/// The socket of the guest's console.
pub const CONSOLE: &str = "console.sock";
/// What the guest has printed since it began.
pub const CONSOLE_LOG: &str = "console.log";
/// The guest's memory, if it is shared.
pub const RAM: &str = "ram";

impl LinuxGuest {
    /// QEMU's arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let size = &self.memory;
        let memory = match self.backing {
            Backing::Shared => {
                format!("memory-backend-file,id=ram0,size={size},mem-path={RAM},share=on")
            }
            Backing::Private => format!("memory-backend-ram,id=ram0,size={size},reserve=off"),
        };
        let console =
            format!("socket,id=console,path={CONSOLE},server=on,wait=off,logfile={CONSOLE_LOG}");
        let mut arguments: Vec<OsString> = [
            "-nodefaults",
            "-nic",
            "none",
            "-display",
            "none",
            "-no-reboot",
            "-machine",
            "virt,memory-backend=ram0",
            "-object",
            &memory,
            "-m",
            &size.to_string(),
            "-cpu",
            &self.cpu,
            "-chardev",
            &console,
            "-serial",
            "chardev:console",
            "-qmp",
            &format!("unix:{QMP},server=on,wait=off"),
            // Through it the guest says where its VMCOREINFO is, which dumps of it then carry.
            "-device",
            "vmcoreinfo",
            "-append",
            &self.options,
        ]
        .map(OsString::from)
        .into();
        arguments.extend(["-kernel".into(), self.kernel.clone().into_os_string()]);
        if let Some(initramfs) = &self.initramfs {
            arguments.extend(["-initrd".into(), initramfs.clone().into_os_string()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_memory_is_shared_or_its_own() {
        let mut guest = LinuxGuest {
            cpu: "max".to_owned(),
            memory: "2G".parse().unwrap(),
            backing: Backing::Shared,
            kernel: "/vmlinuz".into(),
            initramfs: None,
            options: "quiet".to_owned(),
        };
        let words = |guest: &LinuxGuest| {
            let words = guest.arguments();
            words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(
            words(&guest).contains("memory-backend-file,id=ram0,size=2G,mem-path=ram,share=on")
        );
        assert!(words(&guest).ends_with("-append quiet -kernel /vmlinuz"));
        guest.backing = Backing::Private;
        guest.initramfs = Some("/initramfs".into());
        assert!(!words(&guest).contains("mem-path"));
        assert!(words(&guest).ends_with("-initrd /initramfs"));
    }
}
