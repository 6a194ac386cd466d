//! What firmware's device tree says of the machine, each fact read when it is asked for.
//!
//! The blob is firmware's, and may be anything: every reading ends in time proportional to the
//! blob's size, and what makes no sense is an error that names the node.
//!
//! Source: *Devicetree Specification*, release v0.4, and Linux's device tree bindings
//! ("reserved-memory", "arm,pl011", "arm,psci", "arm,gic", "arm,gic-v3", "cpus").

mod cpu;
mod device;
mod error;
mod interrupts;
mod memory;
mod node;

use dtoolkit::fdt::Fdt;

use node::Node;

pub use cpu::{CpuNode, Mpidr, StartMethod};
pub use device::Conduit;
pub use error::{NodeFault, TreeError};
pub use interrupts::{Gic, MOST_REGIONS};
pub use node::Path;

/// The most bytes that a device tree may have.
///
/// Source: Linux's "Booting AArch64 Linux", "Setup the device tree".
pub const MOST_BYTES: usize = 2 << 20;

/// Bytes of a blob that [`blob_bytes`] reads.
pub const HEADER_BYTES: usize = 8;

const MAGIC: u32 = 0xd00d_feed;

/// How many bytes the blob that starts with `header` has, magic and size being plausible. For who
/// has the blob's address only, and must know how much of it to map.
///
/// # Errors
/// The blob is no device tree, or too large for one.
pub fn blob_bytes(header: [u8; HEADER_BYTES]) -> Result<usize, TreeError<'static>> {
    let [a, b, c, d, size @ ..] = header;
    let magic = u32::from_be_bytes([a, b, c, d]);
    if magic != MAGIC {
        return Err(TreeError::Magic(magic));
    }
    let says = u32::from_be_bytes(size);
    usize::try_from(says).ok().filter(|bytes| *bytes <= MOST_BYTES).ok_or(TreeError::TooLarge(says))
}

/// A device tree. Holding one tells that the blob is well formed; not that it makes sense.
#[derive(Clone, Copy, Debug)]
pub struct DeviceTree<'a> {
    fdt: Fdt<'a>,
}

impl<'a> DeviceTree<'a> {
    /// The tree in `blob`; bytes behind its end are ignored.
    ///
    /// # Errors
    /// Says why the blob is not a tree.
    pub fn new(blob: &'a [u8]) -> Result<Self, TreeError<'a>> {
        let header = blob.first_chunk().ok_or(TreeError::NoHeader(blob.len()))?;
        let says = blob_bytes(*header)?;
        let cut_off = TreeError::CutOff { says, had: blob.len() };
        let blob = blob.get(..says).ok_or(cut_off)?;
        let fdt = Fdt::new(blob).map_err(TreeError::Malformed)?;
        Ok(Self { fdt })
    }

    /// The kernel's command line: `/chosen`'s `bootargs`; empty where there is none.
    ///
    /// # Errors
    /// It is not text in UTF-8.
    pub fn command_line(&self) -> Result<&'a str, TreeError<'a>> {
        match self.root().child("chosen") {
            Some(chosen) => Ok(chosen.text("bootargs")?.unwrap_or_default()),
            None => Ok(""),
        }
    }

    fn root(&self) -> Node<'a> {
        Node::root(self.fdt)
    }
}
