//! What firmware handed over: the device tree, and in it the console, the command line and the way
//! to turn the machine off.

use blockmap::vmsa::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap_kernel::cmdline::CommandLine;
use blockmap_kernel::devicetree::{DeviceTree, TreeError};
use thiserror::Error;

use crate::arch::boot_window::{BootWindow, Contents, CoverError, DeviceTreeError};
use crate::arch::exit::{self, Way};
use crate::arch::psci;
use crate::arch::semihosting::Semihosting;
use crate::console;

/// Bytes of a PL011's registers.
const UART_BYTES: u64 = 0x1000;

/// Why the device tree's part of start-up failed. Unless a console has been found before, nobody
/// will hear of it.
#[derive(Debug, Error)]
pub(crate) enum FirmwareError<'a> {
    /// There is none where firmware said.
    #[error("{0}")]
    Missing(DeviceTreeError),
    /// It is empty.
    #[error("the device tree is empty")]
    Nowhere,
    /// It can't be read.
    #[error("{0}")]
    Tree(TreeError<'a>),
    /// The console can't be reached.
    #[error("console: {0}")]
    Console(CoverError),
}

/// What the device tree says that start-up needs first.
pub(crate) struct Firmware<'a> {
    /// The tree itself.
    pub(crate) tree: DeviceTree<'a>,
    /// The memory it is in.
    pub(crate) memory: PhysRange,
    /// The command line.
    pub(crate) command_line: CommandLine<'a>,
    /// Where the console's registers are, if it has been found.
    pub(crate) uart: Option<PhysAddr>,
}

/// Reads the device tree, starts the console that it names, and learns how to end the machine.
pub(crate) fn read(window: &BootWindow) -> Result<Firmware<'_>, FirmwareError<'_>> {
    let blob = window.device_tree().map_err(FirmwareError::Missing)?;
    let tree = DeviceTree::new(blob).map_err(FirmwareError::Tree)?;
    let uart = tree.console().map_err(FirmwareError::Tree)?;
    if let Some(registers) = uart {
        start_console(window, registers).map_err(FirmwareError::Console)?;
    }
    if let Some(conduit) = tree.conduit().map_err(FirmwareError::Tree)? {
        exit::set_way(Way::Psci(conduit));
        psci::set_conduit(conduit);
    }
    let command_line = CommandLine::new(tree.command_line().map_err(FirmwareError::Tree)?);
    if let Some(host) = Semihosting::of(command_line.options().exit) {
        exit::set_way(Way::Semihosting(host));
    }
    let memory = memory_of(blob).ok_or(FirmwareError::Nowhere)?;
    Ok(Firmware { tree, memory, command_line, uart })
}

/// Where bytes that the boot window shows are: at their own address.
fn memory_of(bytes: &[u8]) -> Option<PhysRange> {
    let start = u64::try_from(bytes.as_ptr().addr()).ok()?;
    PhysRange::new(PhysAddr::new(start), u64::try_from(bytes.len()).ok()?)
}

/// Prints to the UART with these registers, through the boot window.
fn start_console(window: &BootWindow, registers: PhysAddr) -> Result<(), CoverError> {
    let Some(range) = PhysRange::new(registers, UART_BYTES) else {
        return Ok(());
    };
    window.cover(range, Contents::Device)?;
    // SAFETY: the device tree says that a PL011 is there, and the window maps it as a device.
    unsafe { console::use_uart(VirtAddr::new(registers.value())) };
    Ok(())
}
