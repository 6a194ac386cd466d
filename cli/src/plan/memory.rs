//! The memory that a plan is for: from `/proc/iomem`, a device tree, or typed.

use std::fs;
use std::io::{self, Read as _};

use anyhow::{Context as _, Result, bail};
use blockmap_dump::vmsa::machine::PhysAddr;
use blockmap_layout::FirmwareMap;

use super::{iomem, tree};
use crate::number::{bytes, number};

/// The most bytes of a file that are looked at: a device tree has 2 MiB at most.
const MOST_BYTES: u64 = 16 << 20;

/// The first bytes of a flattened device tree.
const TREE: [u8; 4] = 0xd00d_feed_u32.to_be_bytes();

/// The memory that `map` names, and what kind of thing told of it.
///
/// # Errors
/// Says what was tried.
pub(crate) fn read(map: &str) -> Result<(FirmwareMap, &'static str)> {
    if map != "-" && map.contains('@') && fs::metadata(map).is_err() {
        let memory = typed(map).with_context(|| format!("`{map}`"))?;
        return Ok((memory, "as typed"));
    }
    let content = content(map)?;
    if content.starts_with(&TREE) {
        let memory = tree::read(&content).with_context(|| format!("the device tree {map}"))?;
        return Ok((memory, "device tree"));
    }
    match str::from_utf8(&content) {
        Ok(text) if iomem::is_iomem(text) => {
            let memory = iomem::read(text).with_context(|| map.to_owned())?;
            Ok((memory, "/proc/iomem"))
        }
        Ok(_) | Err(_) => bail!(
            "{map} is neither a device tree (dtb) nor lines as /proc/iomem has them; \
             memory can also be typed as SIZE@START: 2G@0x40000000,510G@0x100000000"
        ),
    }
}

fn content(map: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let reading = if map == "-" {
        io::stdin().lock().take(MOST_BYTES).read_to_end(&mut content)
    } else {
        fs::File::open(map).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut content))
    };
    reading.with_context(|| {
        format!("cannot read {map}: name a file, or type memory as SIZE@START, as in 512G@0")
    })?;
    Ok(content)
}

/// Banks as they are typed: `SIZE@START`, with commas between them.
fn typed(text: &str) -> Result<FirmwareMap> {
    let mut map = FirmwareMap::new();
    for bank in text.split(',') {
        let Some((size, start)) = bank.split_once('@') else {
            bail!("`{bank}` has no `@`: banks are typed SIZE@START, as in 512G@0x80000000");
        };
        let size = bytes(size).with_context(|| format!("the size `{size}`"))?;
        let start = number(start).or_else(|_| bytes(start));
        let start = start.with_context(|| format!("the start of `{bank}`"))?;
        map.add_bank(PhysAddr::new(start), size)?;
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banks_are_typed_as_size_at_start() {
        let map = typed("2G@0x80000000,510G@4G").unwrap();
        let banks: Vec<_> =
            map.banks().iter().map(|bank| (bank.start().value(), bank.bytes())).collect();
        assert_eq!(banks, [(2 << 30, 2 << 30), (4 << 30, 510 << 30)]);
        for (text, expected) in
            [("1G", "no `@`"), ("x@0", "size `x`"), ("1G@y", "start of"), ("0@0", "empty")]
        {
            let error = format!("{:#}", typed(text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
