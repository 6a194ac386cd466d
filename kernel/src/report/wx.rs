//! Whether any memory is writable and executable, in Linux's words.

use core::fmt;

use blockmap::dump::{Finding, Wx};

/// Prints the result of a check as Linux's log has it, and where the first finding is.
#[derive(Clone, Copy, Debug)]
pub struct WxText(pub Wx);

impl fmt::Display for WxText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Wx { writable_executable, unprivileged_executable, skipped }) = self;
        f.write_str("Checked W+X mappings: ")?;
        if self.0.passed() {
            return f.write_str("passed, no W+X pages found");
        }
        let (wx, non_uxn) = (writable_executable.pages, unprivileged_executable.pages);
        write!(f, "FAILED, {wx} W+X pages found, {non_uxn} non-UXN pages found")?;
        for Finding { first, .. } in [writable_executable, unprivileged_executable] {
            if let Some(range) = first {
                write!(f, ", first at {range}")?;
            }
        }
        match skipped {
            0 => Ok(()),
            tables => write!(f, ", {tables} tables could not be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use blockmap::machine::{VirtAddr, VirtRange};

    use super::*;

    #[test]
    fn the_words_are_linuxs() {
        let text = WxText(Wx::default()).to_string();
        assert_eq!(text, "Checked W+X mappings: passed, no W+X pages found");
        let first = VirtRange::new(VirtAddr::new(0xffff_8000_8000_0000), 0x2_0000);
        let finding = Finding { pages: 32, first };
        let text = WxText(Wx { writable_executable: finding, ..Wx::default() }).to_string();
        assert_eq!(
            text,
            "Checked W+X mappings: FAILED, 32 W+X pages found, 0 non-UXN pages found, \
             first at 0xffff800080000000+0x20000"
        );
    }
}
