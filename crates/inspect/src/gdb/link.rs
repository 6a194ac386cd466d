//! Packets of gdb's remote protocol over a socket: framed, summed and acknowledged.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use super::{GdbError, PATIENCE};
use crate::GdbAddress;

/// The longest packet that is taken.
const MOST_BYTES: usize = 1 << 22;

/// A socket, of either kind.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A stream of packets.
#[derive(Debug)]
pub(super) struct Link {
    stream: Stream,
    received: Vec<u8>,
    /// How much of `received` was taken.
    taken: usize,
}

impl Link {
    /// Connects.
    pub(super) fn open(address: &GdbAddress) -> Result<Self, GdbError> {
        let failed = |error: std::io::Error| GdbError::Connect {
            address: address.to_string(),
            why: error.to_string(),
        };
        let stream = match address {
            GdbAddress::Tcp(address) => {
                let stream = TcpStream::connect(address.as_str()).map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
                stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
                Stream::Tcp(stream)
            }
            GdbAddress::Unix(path) => {
                let stream = UnixStream::connect(path).map_err(failed)?;
                stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
                stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
                Stream::Unix(stream)
            }
        };
        Ok(Self { stream, received: Vec::new(), taken: 0 })
    }

    /// Sends a packet. Answers are acknowledged with the next one or not at all: a stub takes the
    /// beginning of a packet for it.
    pub(super) fn send(&mut self, text: &str) -> Result<(), GdbError> {
        self.write(frame(text).as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), GdbError> {
        let written = match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        };
        written.map_err(|error| GdbError::Closed(error.to_string()))
    }

    /// The next packet, acknowledged.
    pub(super) fn receive(&mut self) -> Result<String, GdbError> {
        loop {
            match self.next_byte()? {
                b'$' => break,
                // The stub did not get the packet whole; sockets do not lose bytes.
                b'-' => return Err(GdbError::Protocol("-".to_owned())),
                _ => {}
            }
        }
        let mut body = Vec::new();
        loop {
            match self.next_byte()? {
                b'#' => break,
                byte if body.len() < MOST_BYTES => body.push(byte),
                _ => return Err(GdbError::Protocol("a packet without an end".to_owned())),
            }
        }
        let sum = [self.next_byte()?, self.next_byte()?];
        if sum != *checksum(&body).as_bytes() {
            self.write(b"-")?;
            return Err(GdbError::Protocol("a packet with a wrong sum".to_owned()));
        }
        self.write(b"+")?;
        expanded(&body)
    }

    fn next_byte(&mut self) -> Result<u8, GdbError> {
        if self.taken == self.received.len() {
            let mut buffer = [0; 16384];
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut buffer),
                Stream::Unix(stream) => stream.read(&mut buffer),
            };
            self.received.clear();
            self.taken = 0;
            match read {
                Ok(0) => return Err(GdbError::Closed("end of file".to_owned())),
                Ok(count) => {
                    self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
                Err(error)
                    if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) =>
                {
                    return Err(GdbError::Silent);
                }
                // A signal: whoever asks next looks for it.
                Err(error) if error.kind() == ErrorKind::Interrupted => return self.next_byte(),
                Err(error) => return Err(GdbError::Closed(error.to_string())),
            }
        }
        let byte = self.received.get(self.taken).copied().unwrap_or_default();
        self.taken += 1;
        Ok(byte)
    }
}

/// A packet with its sum.
fn frame(text: &str) -> String {
    format!("${text}#{}", checksum(text.as_bytes()))
}

/// Two digits: the sum of the bytes modulo 256.
fn checksum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    format!("{sum:02x}")
}

/// A packet's text, with escaped bytes and repetitions written out.
fn expanded(body: &[u8]) -> Result<String, GdbError> {
    let broken = || GdbError::Protocol(String::from_utf8_lossy(body).into_owned());
    let mut text = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'}' => text.push(bytes.next().ok_or_else(broken)? ^ 0x20),
            b'*' => {
                let count = bytes.next().and_then(|count| count.checked_sub(29));
                let last = text.last().copied();
                let (count, last) = count.zip(last).ok_or_else(broken)?;
                text.extend(std::iter::repeat_n(last, usize::from(count)));
            }
            _ => text.push(byte),
        }
    }
    String::from_utf8(text).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_the_sum_of_its_bytes() {
        assert_eq!(frame("qSupported"), "$qSupported#37");
        assert_eq!(frame(""), "$#00");
    }

    #[test]
    fn escapes_and_repetitions_are_written_out() {
        let text = |body: &[u8]| expanded(body).map_err(|_| ());
        assert_eq!(text(b"0* x"), Ok("0000x".to_owned()));
        assert_eq!(text(b"a}\x03b"), Ok("a#b".to_owned()));
        assert_eq!(text(b"*!"), Err(()));
        assert_eq!(text(b"0*"), Err(()));
        assert_eq!(text(b"}"), Err(()));
    }
}
