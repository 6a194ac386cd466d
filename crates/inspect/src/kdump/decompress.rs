//! Frames as they were, by whichever way they were compressed.

use std::io::Read;

use flate2::read::ZlibDecoder;
use ruzstd::decoding::StreamingDecoder;

use crate::FormatError;

const ZLIB: u32 = 0x1;
const LZO: u32 = 0x2;
const SNAPPY: u32 = 0x4;
const ZSTD: u32 = 0x20;

/// The frame of `bytes` bytes that `packed` holds, compressed as its descriptor's `flags` say.
/// No more than that is ever unpacked.
pub(super) fn decompress(
    flags: u32,
    packed: Vec<u8>,
    bytes: usize,
) -> Result<Vec<u8>, FormatError> {
    let broken = |_| FormatError::Broken("compressed frame");
    let mut frame = vec![0; bytes];
    match flags & (ZLIB | LZO | SNAPPY | ZSTD) {
        0 => frame = packed,
        ZLIB => ZlibDecoder::new(&*packed).read_exact(&mut frame).map_err(broken)?,
        ZSTD => {
            let mut decoder = StreamingDecoder::new(&*packed)
                .map_err(|_| FormatError::Broken("compressed frame"))?;
            decoder.read_exact(&mut frame).map_err(broken)?;
        }
        LZO => {
            let written = lzokay::decompress::decompress(&packed, &mut frame);
            let written = written.map_err(|_| FormatError::Broken("compressed frame"))?;
            frame.truncate(written);
        }
        SNAPPY => {
            let written = snap::raw::Decoder::new().decompress(&packed, &mut frame);
            let written = written.map_err(|_| FormatError::Broken("compressed frame"))?;
            frame.truncate(written);
        }
        flags => return Err(FormatError::Value { what: "compression", value: u64::from(flags) }),
    }
    if frame.len() == bytes { Ok(frame) } else { Err(FormatError::Broken("compressed frame")) }
}
