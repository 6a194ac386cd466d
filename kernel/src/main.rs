//! The kernel image: `kernel_main`, which `arch` calls once the CPU is set up.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod act;
#[cfg(target_os = "none")]
mod arch;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod count;
#[cfg(target_os = "none")]
mod cpus;
#[cfg(target_os = "none")]
mod disguise;
#[cfg(target_os = "none")]
mod firmware;
#[cfg(target_os = "none")]
mod lock;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod owners;
#[cfg(target_os = "none")]
mod prompt;
#[cfg(target_os = "none")]
mod referee;
#[cfg(target_os = "none")]
mod run;
#[cfg(target_os = "none")]
mod tally;
#[cfg(target_os = "none")]
mod timeline;

#[cfg(target_os = "none")]
use run::kernel_main;

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    arch::report::panic(info);
    arch::exit::exit(arch::exit::Status::Panic)
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is an arm64 kernel: it boots on a machine of its own, see the README");
    std::process::exit(1);
}
