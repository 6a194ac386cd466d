//! `cargo xtask boot`: the kernel on a machine, with a person or a script at its monitor.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::qemu::{Input, Machine, Size, interactive, scripted};
use crate::{image, modules, setup};

/// What has QEMU hand an archive of files to the kernel: its modules, unless somebody has another.
const INITRD: &str = "-initrd";

/// What `cargo xtask boot` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Guest memory; it may be more than the host has.
    #[arg(long, value_name = "SIZE", default_value = "12G")]
    mem: Size,
    /// CPUs.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    cpus: u32,
    /// QEMU's CPU model. The default can change the size of live entries; most others can't.
    #[arg(long, value_name = "MODEL", default_value = Machine::DEFAULT_CPU)]
    cpu: String,
    /// QEMU's board, such as `virt,mte=on` or `virt,virtualization=on`.
    #[arg(long, value_name = "BOARD", default_value = "virt")]
    machine: String,
    /// Kernel options, such as `rodata=off`.
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Have the referee watch from EL2 what the kernel does to its tables.
    #[arg(long)]
    referee: bool,
    /// Monitor commands to run instead of reading the keyboard, parted by `;`.
    #[arg(long, value_name = "COMMANDS")]
    monitor: Option<String>,
    /// A further argument for QEMU; may be given many times.
    #[arg(long = "qemu-arg", value_name = "ARGUMENT", allow_hyphen_values = true)]
    qemu_arguments: Vec<String>,
    /// End the machine, failing, if the monitor's commands take longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "monitor")]
    timeout: u64,
}

/// Builds the image, boots it, and ends with the machine's status.
///
/// # Errors
/// When something is missing and cannot be installed, the kernel does not build, or time is up.
pub fn run(options: &Options) -> Result<ExitCode> {
    setup::bare_metal_target()?;
    setup::qemu()?;
    let image = image::build()?;
    let mut machine = machine(options);
    if !machine.further.iter().any(|argument| argument == INITRD) {
        let archive = modules::build()?.to_string_lossy().into_owned();
        machine.further.extend([INITRD.to_owned(), archive]);
    }
    if machine.input == Input::Keyboard {
        eprintln!("To leave: type `poweroff`, or press Ctrl-A and then X.");
        return Ok(interactive(&machine, &image.flat)?.into());
    }
    let limit = Duration::from_secs(options.timeout);
    let mut stdout = io::stdout();
    let echo = |piece: &[u8]| {
        // Nobody may be reading any more; the machine still ends with its status.
        let _ = stdout.write_all(piece).and_then(|()| stdout.flush());
    };
    let finished = scripted(&machine, &image.flat, limit, echo)?;
    eprint!("{}", finished.complaints);
    Ok(finished.status.into())
}

fn machine(options: &Options) -> Machine {
    let machine = Machine {
        memory: options.mem.clone(),
        nodes: 1,
        cpus: options.cpus,
        cpu: options.cpu.clone(),
        board: options.machine.clone(),
        options: options.append.clone(),
        input: match &options.monitor {
            Some(script) => Input::Script(script.clone()),
            None => Input::Keyboard,
        },
        further: options.qemu_arguments.clone(),
    };
    if options.referee { machine.refereed() } else { machine }
}
