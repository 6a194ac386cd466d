//! Calls to whoever emulates this machine.
//!
//! Source: "Semihosting for AArch32 and AArch64", Arm's own document: the operation is in w0, a
//! block of 64-bit words in x1, the result in x0.

use core::arch::asm;
use core::fmt;

use blockmap_kernel::cmdline::Exit;
use thiserror::Error;

/// Holding one tells that the command line says that an emulator answers. Where none does, a call
/// is an undefined instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Semihosting(());

/// What is asked of the emulator.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Open,
    Close,
    Write,
    ErrorNumber,
    Exit,
}

impl Operation {
    const fn number(self) -> u64 {
        match self {
            Self::Open => 0x01,
            Self::Close => 0x02,
            Self::Write => 0x05,
            Self::ErrorNumber => 0x13,
            Self::Exit => 0x18,
        }
    }
}

/// Why a file of the host was not written. It may be there, empty or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FileError {
    /// Its name is longer than what is passed on.
    #[error("its name has more than {NAME_BYTES} bytes")]
    Name,
    /// The host doesn't open it.
    #[error("the host can't open it for writing: error {0}")]
    Open(i64),
    /// The host didn't take all of it.
    #[error("the host can't write to it: error {0}")]
    Write(i64),
    /// The host doesn't close it.
    #[error("the host can't close it: error {0}")]
    Close(i64),
}

/// The longest name of a file.
const NAME_BYTES: usize = 255;

/// How much is written with one call, each of which traps.
const BUFFER_BYTES: usize = 8 << 10;

/// A file of the host that is being written.
pub(crate) struct HostFile {
    host: Semihosting,
    handle: u64,
    buffer: [u8; BUFFER_BYTES],
    used: usize,
    /// Once something went wrong nothing more is written.
    result: Result<(), FileError>,
}

impl Semihosting {
    /// The emulator, if the command line says that there is one.
    pub(crate) const fn of(exit: Exit) -> Option<Self> {
        match exit {
            Exit::Semihosting => Some(Self(())),
            Exit::Psci => None,
        }
    }

    /// Has the emulator end, with `status`.
    pub(crate) fn exit(self, status: u8) {
        // ADP_Stopped_ApplicationExit.
        let block = [0x20026, u64::from(status)];
        // SAFETY: the call takes two words.
        unsafe { call(self, Operation::Exit, block.as_ptr()) };
    }

    fn error_number(self) -> i64 {
        // SAFETY: the call takes no block.
        unsafe { call(self, Operation::ErrorNumber, core::ptr::null()) }.cast_signed()
    }
}

/// Calls the emulator and gives what it answers.
///
/// # Safety
/// `block` is what the operation takes; addresses in it are of memory that may be read.
unsafe fn call(_host: Semihosting, operation: Operation, block: *const u64) -> u64 {
    let result;
    // SAFETY: an emulator answers, which its value tells; the caller vouches for the block, and no
    // operation that is known here writes to memory.
    unsafe {
        asm!("hlt #0xf000", inout("x0") operation.number() => result, in("x1") block,
            options(nostack, readonly));
    }
    result
}

/// A number as blocks have it.
fn word(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl HostFile {
    /// Opens the file `name`, empty. Names are relative to where the emulator was started.
    pub(crate) fn create(host: Semihosting, name: &str) -> Result<Self, FileError> {
        let mut terminated = [0; NAME_BYTES + 1];
        let place = terminated.get_mut(..name.len()).filter(|_| name.len() <= NAME_BYTES);
        place.ok_or(FileError::Name)?.copy_from_slice(name.as_bytes());
        // Mode 5 is that of "wb".
        let block = [word(terminated.as_ptr().expose_provenance()), 5, word(name.len())];
        // SAFETY: the name is there, with a zero behind it.
        match unsafe { call(host, Operation::Open, block.as_ptr()) } {
            u64::MAX => Err(FileError::Open(host.error_number())),
            handle => Ok(Self { host, handle, buffer: [0; BUFFER_BYTES], used: 0, result: Ok(()) }),
        }
    }

    /// Writes what is in the buffer.
    fn flush(&mut self) {
        let start = word(self.buffer.as_ptr().expose_provenance());
        let block = [self.handle, start, word(self.used)];
        // SAFETY: the bytes are the buffer's.
        let left = unsafe { call(self.host, Operation::Write, block.as_ptr()) };
        if left != 0 && self.used != 0 {
            self.result = Err(FileError::Write(self.host.error_number()));
        }
        self.used = 0;
    }

    /// Writes the rest and closes the file; says what went wrong since it was opened.
    pub(crate) fn close(mut self) -> Result<(), FileError> {
        if self.result.is_ok() {
            self.flush();
        }
        // SAFETY: the call takes the handle.
        match unsafe { call(self.host, Operation::Close, &raw const self.handle) } {
            0 => self.result,
            _ => self.result.and(Err(FileError::Close(self.host.error_number()))),
        }
    }
}

impl fmt::Write for HostFile {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.used == BUFFER_BYTES {
                self.flush();
            }
            self.result.map_err(|_| fmt::Error)?;
            if let Some(place) = self.buffer.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
        Ok(())
    }
}
