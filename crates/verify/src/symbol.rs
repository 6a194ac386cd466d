//! Where the kernel's own functions are: for tests that have it go wrong in them.

use std::fs;

use object::{Object, ObjectSymbol};

use crate::machine::built;

/// The address of the kernel's only symbol whose name ends with `ending`, and so says a mangled
/// one's last part.
///
/// # Panics
/// If the kernel does not build, or no such symbol is in it.
#[must_use]
pub fn address(ending: &str) -> u64 {
    let elf = fs::read(&built().elf).unwrap();
    let kernel = object::File::parse(&*elf).unwrap();
    let is_it = |symbol: &object::Symbol<'_, '_>| {
        symbol.name().is_ok_and(|name| name.ends_with(ending)) && symbol.is_definition()
    };
    let found: Vec<u64> = kernel.symbols().filter(is_it).map(|symbol| symbol.address()).collect();
    let [address] = *found else { panic!("{} symbols end with {ending}", found.len()) };
    address
}
