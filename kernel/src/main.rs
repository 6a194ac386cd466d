//! The kernel image: `kernel_main`, which `arch` calls once the CPU is set up.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod arch;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod firmware;

#[cfg(target_os = "none")]
use arch::{boot::BootInfo, exit, report};

/// The kernel, from the first line on the console to the end of the machine.
#[cfg(target_os = "none")]
fn kernel_main(boot: BootInfo) -> ! {
    let firmware = match firmware::read(&boot.window) {
        Ok(firmware) => firmware,
        Err(error) => panic!("{error}"),
    };
    console::println!(
        "blockmap: loaded at {}, entered at {:?}, device tree at {}",
        boot.load,
        boot.entered_at,
        boot.dtb
    );
    console::println!("command line: {}", firmware.command_line.text());
    exit::exit(exit::Status::Asked(0))
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    report::panic(info);
    exit::exit(exit::Status::Panic)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is an arm64 kernel: it boots on a machine of its own, see the README");
    std::process::exit(1);
}
