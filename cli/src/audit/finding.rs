//! One thing that a kernel should not map as it does.

use blockmap_dump::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap_inspect::Symbols;
use clap::ValueEnum;
use serde::Serialize;

use crate::number::Hex;
use crate::region::Name;

/// What is wrong. The order is that of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Tables could not be read, and what they map is not known.
    #[value(skip)]
    Unread,
    /// Writable and executable through one mapping.
    Wx,
    /// Executable, and writable through another mapping.
    XAlias,
    /// Read-only outside the linear map, and writable through another mapping.
    RoAlias,
    /// Open to EL0 in the kernel's half.
    User,
    /// Mapped with memory types that do not go together.
    Memtype,
    /// Part of the image, protected there and writable in the linear map.
    Image,
}

impl Kind {
    /// All that a report may have.
    pub(super) const ALL: [Self; 7] = [
        Self::Unread,
        Self::Wx,
        Self::XAlias,
        Self::RoAlias,
        Self::User,
        Self::Memtype,
        Self::Image,
    ];

    /// As it is typed and written.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Wx => "wx",
            Self::XAlias => "x-alias",
            Self::RoAlias => "ro-alias",
            Self::User => "user",
            Self::Memtype => "memtype",
            Self::Image => "image",
        }
    }

    /// What a finding of the kind says.
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Unread => "Tables could not be read, so what they map is not known.",
            Self::Wx => "Memory is writable and executable through one mapping.",
            Self::XAlias => "Executable memory is writable through another mapping.",
            Self::RoAlias => "Read-only memory is writable through another mapping.",
            Self::User => "Memory of the kernel's half is open to EL0.",
            Self::Memtype => "Memory is mapped with types that do not go together.",
            Self::Image => "Protected memory of the kernel image is writable in the linear map.",
        }
    }
}

/// Whether a finding decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Weight {
    /// It does.
    Denied,
    /// It is only mentioned.
    Noted,
}

/// One finding: neighbouring addresses, and where else their memory is mapped.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) weight: Weight,
    pub(super) start: Hex,
    pub(super) bytes: u64,
    pub(super) region: Name,
    pub(super) rights: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<Alias>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// What the kernel calls the first byte of the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) symbol: Option<String>,
}

/// The other mapping.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Alias {
    pub(super) start: Hex,
    pub(super) region: Name,
    pub(super) rights: String,
    pub(super) memory: String,
}

impl Finding {
    /// Says whether the finding decides: its kind is denied, and it is not a window's, unless those
    /// count too.
    pub(super) fn weigh(&mut self, denied: &[Kind], is_strict: bool) {
        let is_window = self.kind == Kind::RoAlias && self.region == Name::Fixmap;
        let is_denied = self.kind == Kind::Unread || denied.contains(&self.kind);
        let counts = is_denied && (is_strict || !is_window);
        self.weight = if counts { Weight::Denied } else { Weight::Noted };
    }

    /// Names the finding's memory, if the kernel's image is there.
    pub(super) fn name(&mut self, symbols: &Symbols) {
        let memory = self.output.and_then(|output| symbols.in_memory(PhysAddr::new(output.0)));
        let place = symbols.at(VirtAddr::new(self.start.0)).or(memory);
        self.symbol = place.map(|place| place.to_string());
    }

    /// What is said of it, after the address.
    pub(super) fn what(&self) -> String {
        let output = self.output.map(|output| format!(", memory {output}")).unwrap_or_default();
        let symbol = self.symbol.as_ref().map(|symbol| format!(", {symbol}")).unwrap_or_default();
        let output = output + &symbol;
        match (&self.alias, &self.why) {
            (Some(alias), _) => {
                let Alias { start, region, rights, memory } = alias;
                let verb = if self.kind == Kind::Memtype { memory } else { rights };
                format!("but {verb} at {start} ({}){output}", region.text())
            }
            (None, Some(why)) => format!("{why}{output}"),
            (None, None) => output.trim_start_matches(", ").to_owned(),
        }
    }

    /// Adds `next`, if it goes on where this one ends.
    pub(super) fn absorb(&mut self, next: &Self) -> bool {
        let end = |start: Hex| Hex(start.0.wrapping_add(self.bytes));
        let goes_on = |one: Option<Hex>, other: Option<Hex>| one.map(end) == other;
        let is_same_alias = match (&self.alias, &next.alias) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                end(one.start) == other.start
                    && (one.region, &one.rights, &one.memory)
                        == (other.region, &other.rights, &other.memory)
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        let is_next = self.kind == next.kind
            && end(self.start) == next.start
            && self.region == next.region
            && self.rights == next.rights
            && self.why == next.why
            && goes_on(self.output, next.output)
            && is_same_alias;
        if is_next {
            self.bytes += next.bytes;
        }
        is_next
    }
}
