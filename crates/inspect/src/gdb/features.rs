//! Which registers a machine has, and their numbers: the target description, as far as needed.

use std::collections::HashMap;

use super::{Gdb, GdbError};

/// How many files a description may be in.
const MOST_FILES: usize = 64;

/// The numbers of registers by name. They are the machine's: another set of features numbers them
/// in another way.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<String, u32>);

impl Numbers {
    /// The number of the register with this name.
    pub(super) fn of(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    /// Adds the registers of one file, numbered from `next` on, and returns the number after them.
    fn add(&mut self, text: &str, mut next: u32) -> u32 {
        for tag in tags(text, "<reg ") {
            if let Some(number) = attribute(tag, "regnum").and_then(|number| number.parse().ok()) {
                next = number;
            }
            if let Some(name) = attribute(tag, "name") {
                self.0.insert(name.to_owned(), next);
            }
            next = next.saturating_add(1);
        }
        next
    }
}

impl Gdb {
    /// The numbers of all registers.
    pub(super) fn numbers(&mut self) -> Result<Numbers, GdbError> {
        let mut numbers = Numbers::default();
        let target = self.object("features:read:target.xml")?;
        let mut next = numbers.add(&target, 0);
        for tag in tags(&target, "<xi:include ").take(MOST_FILES) {
            if let Some(file) = attribute(tag, "href") {
                let text = self.object(&format!("features:read:{file}"))?;
                next = numbers.add(&text, next);
            }
        }
        Ok(numbers)
    }
}

/// The insides of every tag that begins so.
fn tags<'t>(text: &'t str, beginning: &'static str) -> impl Iterator<Item = &'t str> {
    text.split(beginning).skip(1).filter_map(|rest| Some(rest.split_once('>')?.0))
}

/// The value of an attribute of a tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once('=')?;
        let quote = after.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
        let (value, later) = after.get(1..)?.split_once(quote)?;
        if before.trim() == name {
            return Some(value);
        }
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_numbered_in_order_unless_they_say_so() {
        let mut numbers = Numbers::default();
        let next = numbers.add("<reg name=\"x0\" bitsize=\"64\"/><reg name='x1'/>", 0);
        assert_eq!(next, 2);
        let system = "<reg name=\"TTBR1_EL1\" bitsize=\"64\" regnum=\"175\" group=\"cp_regs\"/>";
        assert_eq!(numbers.add(system, next), 176);
        assert_eq!([numbers.of("x1"), numbers.of("TTBR1_EL1")], [Some(1), Some(175)]);
        assert_eq!(numbers.of("TTBR1"), None);
    }
}
