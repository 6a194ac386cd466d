//! Nodes of a device tree, with the way to them, and the values of their properties.

use core::fmt;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node as _, Property as _};

use super::{NodeFault, TreeError};

/// How far below the root nodes are looked at.
const DEPTH: usize = 4;

/// The way to a node, by the names of the nodes from the root's child on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path<'a> {
    names: [&'a str; DEPTH],
    depth: usize,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.get(..self.depth) {
            None | Some([]) => f.write_str("/"),
            Some(names) => names.iter().try_for_each(|name| write!(f, "/{name}")),
        }
    }
}

/// How many 32-bit cells addresses and sizes of a node's children have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) address: Width,
    pub(super) size: Width,
}

/// A number of cells that make one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    None,
    One,
    Two,
}

impl Width {
    fn new(cells: u32) -> Option<Self> {
        match cells {
            0 => Some(Self::None),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::One => 4,
            Self::Two => 8,
        }
    }
}

/// Splits a big-endian number of this width off the front of `bytes`; none is zero.
pub(super) fn take(bytes: &mut &[u8], width: Width) -> Option<u64> {
    let (number, rest) = bytes.split_at_checked(width.bytes())?;
    *bytes = rest;
    Some(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// A node, and the nodes above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    /// From the root down; places behind `depth` mean nothing.
    way: [FdtNode<'a>; DEPTH + 1],
    depth: usize,
}

impl<'a> Node<'a> {
    pub(super) fn root(fdt: Fdt<'a>) -> Self {
        Self { way: [fdt.root(); DEPTH + 1], depth: 0 }
    }

    fn here(&self) -> FdtNode<'a> {
        let [root, ..] = self.way;
        self.way.get(self.depth).copied().unwrap_or(root)
    }

    pub(super) fn parent(&self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(Self { depth, ..*self })
    }

    pub(super) fn path(&self) -> Path<'a> {
        let mut path = Path { depth: self.depth, ..Path::default() };
        for (name, node) in path.names.iter_mut().zip(self.way.iter().skip(1)) {
            *name = node.name();
        }
        path
    }

    pub(super) fn name(&self) -> &'a str {
        self.here().name_without_address()
    }

    /// The children, as far as nodes are looked at.
    pub(super) fn children(&self) -> impl Iterator<Item = Self> + use<'a> {
        let (parent, depth) = (*self, self.depth + 1);
        self.here().children().map_while(move |child| {
            let mut way = parent.way;
            *way.get_mut(depth)? = child;
            Some(Self { way, depth })
        })
    }

    /// The first child with this name, which may or may not have the unit address.
    pub(super) fn child(&self, name: &str) -> Option<Self> {
        let is_full = name.contains('@');
        self.children().find(|child| {
            let has = if is_full { child.here().name() } else { child.name() };
            has == name
        })
    }

    /// The node at a path from the root, as far down as nodes are looked at.
    pub(super) fn descendant(&self, path: &str) -> Option<Self> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(*self, |node, name| node.child(name))
    }

    /// The first node, among this one and those below it, of which `is` holds.
    pub(super) fn find(&self, is: &dyn Fn(&Self) -> bool) -> Option<Self> {
        // As deep as `children` goes, which is not deep.
        if is(self) {
            return Some(*self);
        }
        self.children().find_map(|child| child.find(is))
    }

    pub(super) fn fault(&self, fault: NodeFault) -> TreeError<'a> {
        TreeError::Node { node: self.path(), fault }
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.here().properties().find(|one| one.name() == name)?;
        found.value_as().ok()
    }

    /// A property that is one text.
    pub(super) fn text(&self, property: &'static str) -> Result<Option<&'a str>, TreeError<'a>> {
        let Some(bytes) = self.bytes(property) else {
            return Ok(None);
        };
        let text = bytes.strip_suffix(&[0]).filter(|text| !text.contains(&0));
        let text = text.and_then(|text| core::str::from_utf8(text).ok());
        let expected = "one text in UTF-8 with a zero at its end";
        text.map(Some).ok_or_else(|| self.fault(NodeFault::Value { property, expected }))
    }

    /// Whether one of the texts of a property is `text`.
    pub(super) fn lists(&self, property: &str, text: &str) -> bool {
        let bytes = self.bytes(property).unwrap_or_default();
        bytes.split(|byte| *byte == 0).any(|one| one == text.as_bytes())
    }

    /// Whether the node is there to be used: it has no `status`, or one that says so.
    pub(super) fn is_enabled(&self) -> bool {
        match self.bytes("status") {
            None => true,
            Some(status) => status == b"okay\0" || status == b"ok\0",
        }
    }

    /// How many cells the children's addresses and sizes have.
    pub(super) fn cells(&self) -> Result<Cells, TreeError<'a>> {
        Ok(Cells { address: self.width("#address-cells", 2)?, size: self.width("#size-cells", 1)? })
    }

    /// A property that is one number, of one cell.
    pub(super) fn number(&self, property: &'static str) -> Result<Option<u32>, TreeError<'a>> {
        let Some(bytes) = self.bytes(property) else {
            return Ok(None);
        };
        let number = <[u8; 4]>::try_from(bytes).map(u32::from_be_bytes);
        let expected = "one cell";
        number.map(Some).map_err(|_| self.fault(NodeFault::Value { property, expected }))
    }

    fn width(&self, property: &'static str, default: u32) -> Result<Width, TreeError<'a>> {
        let cells = self.number(property)?.unwrap_or(default);
        Width::new(cells).ok_or_else(|| self.fault(NodeFault::Cells(property, cells)))
    }

    /// The addresses and sizes in `reg`, as the parent numbers them; `None` where there is none.
    pub(super) fn reg(
        &self,
    ) -> Result<Option<impl Iterator<Item = (u64, u64)> + use<'a>>, TreeError<'a>> {
        let parent = self.parent().unwrap_or(*self);
        let Cells { address, size } = parent.cells()?;
        if address == Width::None {
            return Err(parent.fault(NodeFault::Cells("#address-cells", 0)));
        }
        let Some(bytes) = self.bytes("reg") else {
            return Ok(None);
        };
        let entries = self.entries("reg", bytes, address.bytes() + size.bytes())?;
        Ok(Some(entries.filter_map(move |mut entry| {
            Some((take(&mut entry, address)?, take(&mut entry, size)?))
        })))
    }

    /// A property's value, entry by entry.
    pub(super) fn entries(
        &self,
        property: &'static str,
        bytes: &'a [u8],
        entry: usize,
    ) -> Result<core::slice::ChunksExact<'a, u8>, TreeError<'a>> {
        if entry == 0 || !bytes.len().is_multiple_of(entry) {
            let bytes = bytes.len();
            return Err(self.fault(NodeFault::Length { property, bytes, entry }));
        }
        Ok(bytes.chunks_exact(entry))
    }
}
