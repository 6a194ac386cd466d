//! Writes blobs: trees as a test wants them, sensible or not.

/// A blob in the making; nodes are written as they come.
#[derive(Default)]
pub(crate) struct Writer {
    reservations: Vec<u8>,
    structure: Vec<u8>,
    names: Vec<u8>,
    depth: usize,
}

impl Writer {
    /// A blob with an open root, of two address cells and two size cells.
    pub(crate) fn new() -> Self {
        let mut writer = Self::default();
        writer.open("").cell("#address-cells", 2).cell("#size-cells", 2);
        writer
    }

    pub(crate) fn reserve(&mut self, start: u64, bytes: u64) -> &mut Self {
        self.reservations.extend([start, bytes].into_iter().flat_map(u64::to_be_bytes));
        self
    }

    /// Opens a node.
    pub(crate) fn open(&mut self, name: &str) -> &mut Self {
        self.depth += 1;
        self.structure.extend(1_u32.to_be_bytes());
        self.structure.extend(name.bytes().chain([0]));
        self.pad()
    }

    /// Closes the node that was opened last.
    pub(crate) fn close(&mut self) -> &mut Self {
        self.depth -= 1;
        self.structure.extend(2_u32.to_be_bytes());
        self
    }

    pub(crate) fn property(&mut self, name: &str, value: &[u8]) -> &mut Self {
        let at = u32::try_from(self.names.len()).unwrap();
        let length = u32::try_from(value.len()).unwrap();
        self.names.extend(name.bytes().chain([0]));
        self.structure.extend([3, length, at].into_iter().flat_map(u32::to_be_bytes));
        self.structure.extend(value);
        self.pad()
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.property(name, &[text.as_bytes(), &[0]].concat())
    }

    pub(crate) fn cell(&mut self, name: &str, value: u32) -> &mut Self {
        self.property(name, &value.to_be_bytes())
    }

    /// A property of numbers of two cells.
    pub(crate) fn numbers(&mut self, name: &str, values: &[u64]) -> &mut Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        self.property(name, &bytes)
    }

    /// A memory node with one bank.
    pub(crate) fn memory(&mut self, start: u64, bytes: u64) -> &mut Self {
        self.open(&format!("memory@{start:x}"))
            .text("device_type", "memory")
            .numbers("reg", &[start, bytes])
            .close()
    }

    /// How many bytes the blob will have at least.
    pub(crate) fn bytes(&self) -> usize {
        self.structure.len() + self.names.len() + 4 * self.depth
    }

    fn pad(&mut self) -> &mut Self {
        let length = self.structure.len().next_multiple_of(4);
        self.structure.resize(length, 0);
        self
    }

    /// Closes every open node, the root last, and gives the blob.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        while self.depth > 0 {
            self.close();
        }
        self.structure.extend(9_u32.to_be_bytes());
        self.reserve(0, 0);
        let parts = [&self.reservations, &self.structure, &self.names];
        let size = |part: &Vec<u8>| u32::try_from(part.len()).unwrap();
        let [reservations, structure, names] = parts.map(size);
        let at_structure = 40 + reservations;
        let at_names = at_structure + structure;
        let total = at_names + names;
        let header = [0xd00d_feed, total, at_structure, at_names, 40, 17, 16, 0, names, structure];
        let header: Vec<u8> = header.into_iter().flat_map(u32::to_be_bytes).collect();
        [&header, parts[0], parts[1], parts[2]].into_iter().flatten().copied().collect()
    }
}
