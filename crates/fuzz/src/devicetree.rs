//! A device tree: the whole way from a blob to a checked memory map.

use blockmap::layout::{FirmwareMap, MemoryMap};
use blockmap::vmsa::Geometry;
use blockmap_kernel::devicetree::DeviceTree;

/// Asks the tree for everything there is to ask; what is wrong is said in words.
pub(crate) fn feed(blob: &[u8]) {
    let tree = match DeviceTree::new(blob) {
        Ok(tree) => tree,
        Err(error) => return said(&error),
    };
    let mut map = FirmwareMap::new();
    let errors = [
        tree.add_memory(&mut map).err(),
        tree.initrd().err(),
        tree.command_line().err(),
        tree.console().err(),
        tree.conduit().err(),
    ];
    errors.iter().flatten().for_each(|error| said(error));
    tree.cpus().filter_map(Result::err).for_each(|error| said(&error));
    if let Err(error) = MemoryMap::new(&map, Geometry::KERNEL_4K_48) {
        said(&error);
    }
}

fn said(error: &dyn std::error::Error) {
    assert!(!error.to_string().is_empty(), "an error without words");
}
