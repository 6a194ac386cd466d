//! VMCOREINFO: the lines that Linux keeps in memory for whoever reads its dump.

use blockmap_vmsa::{
    Format, Geometry, Granule, Half, Regime,
    machine::{PhysAddr, VirtAddr},
};

/// The longest text that is taken for one: it has a page of its own, of up to 64 KiB.
pub(crate) const MOST_BYTES: usize = 1 << 16;

/// Linux's own account of where things are: `KEY=VALUE` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmCoreInfo {
    text: String,
}

impl VmCoreInfo {
    /// The text that `bytes` begin with, up to its end at a zero or at something that is no text.
    /// `None` where it does not begin as VMCOREINFO does or has none of what is looked for.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..bytes.len().min(MOST_BYTES))?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b'\n' || *byte == b' ';
        let end = bytes.iter().position(|byte| !is_text(byte)).unwrap_or(bytes.len());
        let text = str::from_utf8(bytes.get(..end)?).ok()?;
        // A line that was cut short would have a wrong value.
        let text = text.get(..=text.rfind('\n')?)?;
        (text.starts_with(Self::BEGINNING) && text.contains("SYMBOL(swapper_pg_dir)="))
            .then(|| Self { text: text.to_owned() })
    }

    /// What the text begins with.
    pub(crate) const BEGINNING: &'static str = "OSRELEASE=";

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands after `key=`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    /// Which kernel it is: `OSRELEASE`.
    #[must_use]
    pub fn release(&self) -> &str {
        self.value("OSRELEASE").unwrap_or_default()
    }

    /// Where a symbol that the text has is: `SYMBOL(name)`.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<VirtAddr> {
        hexadecimal(self.value(&format!("SYMBOL({name})"))?).map(VirtAddr::new)
    }

    /// A number that the text has: `NUMBER(name)`. Linux writes some in decimal, those that are
    /// addresses or fields of registers in hexadecimal with `0x`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        number(self.value(&format!("NUMBER({name})"))?)
    }

    /// How far the kernel's image was moved from where it was linked.
    #[must_use]
    pub fn kernel_offset(&self) -> Option<u64> {
        hexadecimal(self.value("KERNELOFFSET")?)
    }

    /// The granule: `PAGESIZE`.
    #[must_use]
    pub fn granule(&self) -> Option<Granule> {
        let bytes = number(self.value("PAGESIZE")?)?;
        [Granule::Kib4, Granule::Kib16, Granule::Kib64].into_iter().find(|one| one.bytes() == bytes)
    }

    /// The bits of an address that the kernel's half translates. What this CPU was given
    /// (`TCR_EL1_T1SZ`) counts before what the kernel was built for (`VA_BITS`).
    #[must_use]
    pub fn input_bits(&self) -> Option<u32> {
        let size = self.number("TCR_EL1_T1SZ").and_then(|size| 64_u64.checked_sub(size));
        u32::try_from(size.or_else(|| self.number("VA_BITS"))?).ok()
    }

    /// The kernel's tree, as far as it follows from the sizes. Linux uses 52-bit addresses with
    /// 4 and 16 KiB pages with LPA2 only, and has output addresses of 48 bits otherwise.
    #[must_use]
    pub fn geometry(&self) -> Option<Geometry> {
        let (granule, input_bits) = (self.granule()?, self.input_bits()?);
        let (format, output_bits) = match (granule, input_bits) {
            (Granule::Kib4 | Granule::Kib16, 49..) => (Format::Lpa2, 52),
            (Granule::Kib64, 49..) => (Format::Lpa, 52),
            (Granule::Kib4 | Granule::Kib16 | Granule::Kib64, _) => (Format::Base, 48),
        };
        let half = (Regime::El1And0, Half::Upper);
        Geometry::new(half, (granule, format), input_bits, output_bits).ok()
    }

    /// Where an address of the kernel's image is in memory.
    #[must_use]
    pub fn image_address(&self, address: VirtAddr) -> Option<PhysAddr> {
        // The offset is that of the image's input over its output addresses, modulo 2^64.
        let offset = self.number("kimage_voffset")?;
        Some(PhysAddr::new(address.value().wrapping_sub(offset)))
    }

    /// Where the kernel's own root table is: `swapper_pg_dir`.
    #[must_use]
    pub fn root(&self) -> Option<PhysAddr> {
        self.image_address(self.symbol("swapper_pg_dir")?)
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().or_else(|| text.parse::<i64>().ok().map(i64::cast_unsigned)),
    }
}
