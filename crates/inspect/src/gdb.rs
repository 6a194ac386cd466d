//! A client of gdb's remote protocol: enough of it to read registers and physical memory from
//! QEMU's gdbstub, and to let the machine go again.
//!
//! Connecting stops the machine. It goes on when the value is dropped, whatever happened before,
//! unless it was stopped already and is to stay so: [`Leave`].

mod features;
mod link;
mod memory;
mod registers;

use std::time::Duration;

use thiserror::Error;

use crate::{GdbAddress, interrupt::Interrupts};
use link::Link;
pub(crate) use memory::GdbMemory;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a gdbstub did not answer as needed. The machine was let go, if it could still be told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GdbError {
    /// There is no connection.
    #[error("no gdbstub answers at {address}: {why}; start QEMU with -gdb, or give its address")]
    Connect {
        /// Where.
        address: String,
        /// What the system said.
        why: String,
    },
    /// The other side went away.
    #[error("the gdbstub closed the connection: {0}")]
    Closed(String),
    /// No answer came.
    #[error("the gdbstub did not answer within {} s; is another debugger connected?", PATIENCE.as_secs())]
    Silent,
    /// An answer is none.
    #[error("the gdbstub sent `{0}`, which answers nothing that was asked")]
    Protocol(String),
    /// It refused.
    #[error("the gdbstub refused {request}: {answer}")]
    Refused {
        /// What was asked.
        request: String,
        /// What it said.
        answer: String,
    },
    /// It doesn't have the registers.
    #[error("the gdbstub has no register {0}: is the machine an arm64 one?")]
    NoRegister(&'static str),
    /// The user ended the program. The machine was let go before.
    #[error("interrupted; the machine was let go")]
    Interrupted,
}

/// What becomes of the machine when the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It goes on.
    Running,
    /// It stays stopped, as it was before.
    Stopped,
}

/// A connection to a gdbstub. The machine stands still while this lives.
#[derive(Debug)]
pub(crate) struct Gdb {
    link: Link,
    leave: Leave,
    /// Bytes of the longest packet that the stub takes.
    packet_bytes: usize,
    /// Dropped after the machine was let go.
    interrupts: Interrupts,
}

impl Gdb {
    /// Connects, which stops the machine.
    pub(crate) fn connect(address: &GdbAddress, leave: Leave) -> Result<Self, GdbError> {
        let interrupts = Interrupts::held();
        let link = Link::open(address)?;
        let mut gdb = Self { link, leave, packet_bytes: 1024, interrupts };
        let features = gdb.handshake()?;
        let size = features.split(';').find_map(|word| word.strip_prefix("PacketSize="));
        let size = size.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        gdb.packet_bytes = size.unwrap_or(1024).clamp(256, 1 << 20);
        Ok(gdb)
    }

    /// Asks what the stub can do. It may send why the machine stopped before it answers.
    fn handshake(&mut self) -> Result<String, GdbError> {
        self.link.send("qSupported:xmlRegisters=aarch64")?;
        for _ in 0..8 {
            self.check_interrupt()?;
            let answer = self.link.receive()?;
            if answer.contains("PacketSize=") {
                return Ok(answer);
            }
        }
        Err(GdbError::Protocol("no PacketSize".to_owned()))
    }

    fn check_interrupt(&self) -> Result<(), GdbError> {
        if self.interrupts.came() { Err(GdbError::Interrupted) } else { Ok(()) }
    }

    /// The answer to a request.
    pub(crate) fn ask(&mut self, request: &str) -> Result<String, GdbError> {
        self.check_interrupt()?;
        self.link.send(request)?;
        self.link.receive()
    }

    /// Asks for something that is answered by `OK`.
    fn order(&mut self, request: &str) -> Result<(), GdbError> {
        match self.ask(request)? {
            answer if answer == "OK" => Ok(()),
            answer => Err(GdbError::Refused { request: request.to_owned(), answer }),
        }
    }

    /// An object that the stub gives in pieces, such as `features:read:target.xml`.
    fn object(&mut self, name: &str) -> Result<String, GdbError> {
        let most = self.packet_bytes.saturating_sub(16);
        let mut text = String::new();
        loop {
            let request = format!("qXfer:{name}:{:x},{most:x}", text.len());
            let answer = self.ask(&request)?;
            match answer.as_bytes().first() {
                Some(b'm') if answer.len() > 1 => text.push_str(answer.get(1..).unwrap_or("")),
                Some(b'l') => {
                    text.push_str(answer.get(1..).unwrap_or(""));
                    return Ok(text);
                }
                Some(_) | None => return Err(GdbError::Refused { request, answer }),
            }
            if text.len() > 1 << 22 {
                return Err(GdbError::Protocol(format!("{name} without an end")));
            }
        }
    }
}

impl Drop for Gdb {
    /// Lets the machine go. Physical addresses are a mode of the stub, not of the connection.
    fn drop(&mut self) {
        let mut tell = |request: &str| -> Option<String> {
            self.link.send(request).ok()?;
            self.link.receive().ok()
        };
        let _ = tell("Qqemu.PhyMemMode:0");
        match self.leave {
            Leave::Running => {
                if tell("D").is_none_or(|answer| answer != "OK") {
                    let _ = tell("D;1");
                }
            }
            Leave::Stopped => {}
        }
    }
}
