//! What a machine executes, instruction by instruction, as QEMU tells of it while it translates one at a
//! time.

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;

/// What a machine executes, as QEMU tells of it.
#[derive(Debug)]
pub struct Executed {
    lines: BufReader<ChildStderr>,
    /// The last line that was read, and the one before it.
    read: [Vec<u8>; 2],
    /// What was said besides.
    complaints: String,
}

impl Executed {
    pub(super) fn new(pipe: ChildStderr) -> Self {
        let lines = BufReader::with_capacity(1 << 16, pipe);
        Self { lines, read: [Vec::new(), Vec::new()], complaints: String::new() }
    }

    /// What there is to complain of, when the machine has ended.
    pub(super) fn into_complaints(mut self) -> String {
        // QEMU waits for whoever reads.
        while self.next_address().is_some() {}
        self.complaints
    }

    /// The next instruction's address, in sixteen digits; `None` when the machine has ended.
    pub fn next_address(&mut self) -> Option<&[u8]> {
        loop {
            self.read.swap(0, 1);
            let [line, before] = &mut self.read;
            line.clear();
            // What can't be read any more is over.
            let is_over = self.lines.read_until(b'\n', line).unwrap_or(0) == 0;
            if executed(before).is_some() && !undoes(line) {
                break;
            }
            if is_over {
                return None;
            }
            if executed(line).is_none() && !undoes(line) {
                self.complaints += &String::from_utf8_lossy(line);
            }
        }
        executed(&self.read[1])
    }
}

/// The address in a line that says what is executed: `Trace 0: … […/address/…]`.
fn executed(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"Trace ")?;
    let open = line.iter().position(|byte| *byte == b'[')?;
    line.get(open + 18..open + 34)
}

/// Whether a line says that what the line before it tells of was not executed, and will be told again:
/// an interrupt came first, or it reaches a device, and QEMU makes it end what it translates.
fn undoes(line: &[u8]) -> bool {
    line.starts_with(b"Stopped execution") || line.starts_with(b"cpu_io_recompile: rewound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_what_is_executed_is_the_second_number() {
        let line = b"Trace 0: 0x7fac78000280 [0000000000104004/ffff800080064310/0121/ff02] \n";
        assert_eq!(executed(line), Some(&b"ffff800080064310"[..]));
        assert_eq!(executed(b"qemu-system-aarch64: no such machine\n"), None);
        assert_eq!(executed(b"Trace 0: 0x7f [00/\n"), None);
        assert!(undoes(b"cpu_io_recompile: rewound execution of TB to ffff80008000756c\n"));
        assert!(undoes(b"Stopped execution of TB chain before 0x7f [ffff800080064310] \n"));
        assert!(!undoes(line));
    }
}
