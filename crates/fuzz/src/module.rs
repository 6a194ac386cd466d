//! A module's object: the whole way from a file to what would run.

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap_kernel::module::{Export, MOST_BYTES, ModuleError, Object, PAGE_BYTES, Parts};

const BASE: VirtAddr = VirtAddr::new(0xffff_8000_0000_0000);

/// What is exported: near enough for a branch, and not.
const EXPORTS: [Export; 3] = [
    Export { name: "kernel_print", address: VirtAddr::new(0xffff_8000_8001_2344) },
    Export { name: "kernel_cpu", address: VirtAddr::new(0xffff_8000_0700_0004) },
    Export { name: "kernel_page_bytes", address: VirtAddr::new(0xffff_8000_8023_0008) },
];

/// The module begins within its text, and is the same each time; or it is refused in words.
pub(crate) fn feed(file: &[u8]) {
    match written(file) {
        Ok((memory, entry, text)) => {
            assert!(text.is_some_and(|text| text.contains(entry)), "{entry}");
            let again = written(file).ok().map(|(memory, ..)| memory);
            assert_eq!(again, Some(memory), "it depends on what was there");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error without words"),
    }
}

fn written(file: &[u8]) -> Result<(Vec<u8>, VirtAddr, Option<VirtRange>), ModuleError<'_>> {
    let object = Object::new(file)?;
    let mut memory = vec![0xa5; taken(object.parts())];
    let entry = object.write(&mut memory, BASE, &EXPORTS)?;
    Ok((memory, entry, VirtRange::new(BASE, object.parts().text)))
}

/// How many bytes a module takes: pages, and no more of them than it may.
fn taken(parts: Parts) -> usize {
    assert!(parts.bytes() <= MOST_BYTES, "{parts:?}");
    for bytes in [parts.text, parts.rodata, parts.data] {
        assert_eq!(bytes % PAGE_BYTES, 0, "{parts:?}");
    }
    usize::try_from(parts.bytes()).unwrap_or(0)
}
