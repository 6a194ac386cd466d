//! An archive that a kernel finds its first files in: the `newc` form of cpio.

/// An archive being written.
#[derive(Debug, Default)]
pub(crate) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

/// What an entry of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A folder.
    Folder,
    /// A file that may be run.
    File(&'a [u8]),
    /// A character device, by its major and minor number.
    Device(u32, u32),
}

impl Cpio {
    /// Adds the entry `path`, which is relative to the top; its folder is to be there already.
    pub(crate) fn add(&mut self, path: &str, entry: Entry<'_>) {
        let (mode, content, major, minor) = match entry {
            Entry::Folder => (0o040_755, &[][..], 0, 0),
            Entry::File(content) => (0o100_755, content, 0, 0),
            Entry::Device(major, minor) => (0o020_600, &[][..], major, minor),
        };
        self.entries += 1;
        self.write(path, [self.entries, mode], content, [major, minor]);
    }

    /// The archive, ended.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.write("TRAILER!!!", [0, 0], &[], [0, 0]);
        self.bytes
    }

    fn write(&mut self, path: &str, [inode, mode]: [u32; 2], content: &[u8], device: [u32; 2]) {
        let links = 1;
        let path_bytes = path.len() + 1;
        self.bytes.extend(b"070701");
        for field in [inode, mode, 0, 0, links, 0] {
            self.bytes.extend(format!("{field:08x}").into_bytes());
        }
        self.bytes.extend(format!("{:08x}{:08x}{:08x}", content.len(), 0, 0).into_bytes());
        for field in device {
            self.bytes.extend(format!("{field:08x}").into_bytes());
        }
        self.bytes.extend(format!("{path_bytes:08x}{:08x}", 0).into_bytes());
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_its_entries_and_a_trailer_on_multiples_of_four() {
        let mut archive = Cpio::default();
        archive.add("dev", Entry::Folder);
        archive.add("dev/console", Entry::Device(5, 1));
        archive.add("init", Entry::File(b"hello"));
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|start| start % 4 == 0), "{starts:?}");
        assert_eq!(&text[starts[2] + 54..starts[2] + 62], "00000005", "the file's length");
        assert_eq!(&text[starts[1] + 78..starts[1] + 94], "0000000500000001", "the device");
        assert_eq!(&text[starts[2] + 110..starts[2] + 115], "init\0");
        assert!(text[starts[3]..].contains("TRAILER!!!"));
    }
}
