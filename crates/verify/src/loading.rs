//! Ways for the kernel into memory that QEMU's own boot loader does not take: to another address,
//! or by hand with a device tree of the test's making.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// How the kernel gets into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loading {
    /// By QEMU, which takes the Image header at its word.
    Usual,
    /// By QEMU, with a header that asks for this many bytes above the start of memory.
    Offset(u64),
    /// By hand: QEMU's tree plays no part.
    ByHand(ByHand),
}

/// A kernel and a device tree, each at an address of the test's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// Where the image is put: a multiple of 2 MiB, at least 2 MiB above the start of memory, where
    /// QEMU puts code of its own.
    pub image: u64,
    /// Where the tree is put, and what `x0` says at entry.
    pub tree: u64,
    /// What is put there.
    pub blob: Vec<u8>,
}

/// Files for one start of QEMU; they go when this goes.
pub(crate) struct Prepared {
    /// What QEMU is to boot.
    pub(crate) kernel: PathBuf,
    /// Its further arguments.
    pub(crate) arguments: Vec<String>,
    files: Vec<PathBuf>,
}

/// Where an Image header has the distance from the start of memory.
const TEXT_OFFSET: usize = 8;

/// Code that a boot loader would have: `ldr x0, tree; ldr x1, image; br x1; nop`, then the two.
const JUMP: [u32; 4] = [0x5800_0080, 0x5800_00a1, 0xd61f_0020, 0xd503_201f];

impl Loading {
    /// Writes what QEMU needs to load `image` this way.
    pub(crate) fn prepare(&self, image: &Path) -> Prepared {
        let mut prepared =
            Prepared { kernel: image.to_owned(), arguments: Vec::new(), files: Vec::new() };
        match self {
            Self::Usual => {}
            Self::Offset(offset) => {
                let mut bytes = fs::read(image).unwrap();
                bytes[TEXT_OFFSET..][..8].copy_from_slice(&offset.to_le_bytes());
                prepared.kernel = prepared.write(image, "moved", &bytes);
            }
            Self::ByHand(by_hand) => prepared.place(image, by_hand),
        }
        prepared
    }
}

impl Prepared {
    fn place(&mut self, image: &Path, by_hand: &ByHand) {
        let ByHand { image: image_at, tree, blob } = by_hand;
        let mut code: Vec<u8> = JUMP.iter().flat_map(|word| word.to_le_bytes()).collect();
        code.extend([*tree, *image_at].iter().flat_map(|address| address.to_le_bytes()));
        self.kernel = self.write(image, "jump", &code);
        self.load(image, *image_at);
        if !blob.is_empty() {
            let blob = self.write(image, "dtb", blob);
            self.load(&blob, *tree);
        }
    }

    fn load(&mut self, file: &Path, address: u64) {
        let loader = format!("loader,file={},addr={address:#x},force-raw=on", file.display());
        self.arguments.extend(["-device".to_owned(), loader]);
    }

    /// Writes a file beside the image, under a name that no other test has.
    fn write(&mut self, image: &Path, kind: &str, bytes: &[u8]) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = image.with_file_name(format!("{}-{number}.{kind}", process::id()));
        fs::write(&path, bytes).unwrap();
        self.files.push(path.clone());
        path
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for file in &self.files {
            // One that stays does no harm: the next has another name.
            let _ = fs::remove_file(file);
        }
    }
}
