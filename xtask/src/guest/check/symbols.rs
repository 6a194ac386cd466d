//! What `blockmap` calls the ends of leaves, against the kernel's own list of its symbols.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Where the kernel lists its symbols.
pub(super) const OWN_LIST: &str = "/proc/kallsyms";

/// The fewest ends of leaves that an image has: those of its code and of its data.
const FEWEST: usize = 4;

/// A symbol of the kernel's image.
#[derive(Clone, Copy, Debug)]
struct Symbol<'t> {
    address: u64,
    name: &'t str,
}

/// Compares the names in `dump`, of `blockmap dump --symbols --json`, with the kernel's own.
pub(super) fn agree(own: &str, dump: &Value) -> Result<String> {
    let mut symbols: Vec<Symbol<'_>> = own.lines().filter_map(symbol).collect();
    symbols.sort_by_key(|symbol| symbol.address);
    let (first, end) = match (symbols.first(), symbols.last()) {
        (Some(first), Some(last)) if first.address != 0 => (first.address, last.address),
        _ => bail!("the kernel keeps the addresses of its symbols to itself"),
    };
    let mut ends = 0;
    for row in dump["leaves"].as_array().context("a dump without `leaves`")? {
        let number = |name: &str| {
            let digits = row[name].as_str().and_then(|text| text.strip_prefix("0x"));
            digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).context("no address")
        };
        let (start, last) = (number("start")?, number("end")?.wrapping_sub(1));
        let names = [&row["symbols"][0], &row["symbols"][1]].map(Value::as_str);
        let [Some(one), Some(other)] = names else {
            ensure!(start < first || end <= last, "{start:#x} has no name, and is in the image");
            continue;
        };
        for (address, name) in [(start, one), (last, other)] {
            ensure!(is_right(&symbols, address, name), "{address:#x} is not {name}");
            ends += 1;
        }
    }
    ensure!(ends >= FEWEST, "{ends} ends of leaves have names");
    Ok(format!("{ends} ends of leaves, {} symbols", symbols.len()))
}

/// A line of the list: address, kind, name, and for modules the module's.
fn symbol(line: &str) -> Option<Symbol<'_>> {
    let mut words = line.split_whitespace();
    let (address, _, name) = (words.next()?, words.next()?, words.next()?);
    let address = u64::from_str_radix(address, 16).ok()?;
    words.next().is_none().then_some(Symbol { address, name })
}

/// Whether `name+0xOFFSET` is what is at `address`: the last symbol at or before it that is no
/// mark, or another one at the same address.
fn is_right(symbols: &[Symbol<'_>], address: u64, place: &str) -> bool {
    let (name, offset) = place.rsplit_once("+0x").unwrap_or((place, "0"));
    let after = symbols.partition_point(|symbol| symbol.address <= address);
    let mut before = symbols[..after].iter().rev().filter(|symbol| !symbol.name.starts_with('$'));
    let Some(last) = before.clone().next() else { return false };
    let is_it = |symbol: &Symbol<'_>| symbol.name == name;
    let is_there = before.by_ref().take_while(|one| one.address == last.address).any(is_it);
    is_there && u64::from_str_radix(offset, 16) == Ok(address - last.address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIST: &str = "\
        ffff800080000000 T _text\n\
        ffff800080000000 t __pi__text\n\
        ffff800080010000 t work\n\
        ffff800080010100 d $d\n\
        ffff800080020000 B _end\n\
        ffff80007a000000 t other\t[module]\n";

    fn rows(symbols: [&str; 2]) -> Value {
        let image = json!({
            "start": "0xffff800080000000", "end": "0xffff800080020000", "symbols": symbols,
        });
        let outside = json!({ "start": "0xffff80007a000000", "end": "0xffff80007a001000" });
        let mut leaves = vec![image; 10];
        leaves.push(outside);
        json!({ "leaves": leaves })
    }

    #[test]
    fn names_are_compared_with_the_last_that_means_something() {
        let seen = agree(LIST, &rows(["__pi__text", "work+0xffff"])).unwrap();
        assert_eq!(seen, "20 ends of leaves, 5 symbols");
        for wrong in [["_text", "work+0xfffe"], ["_text", "$d+0xfeff"], ["work", "work+0xffff"]] {
            assert!(agree(LIST, &rows(wrong)).is_err(), "{wrong:?}");
        }
        let unnamed = json!({ "leaves": [
            { "start": "0xffff800080000000", "end": "0xffff800080001000" },
        ]});
        assert!(agree(LIST, &unnamed).unwrap_err().to_string().contains("has no name"));
        assert!(agree(LIST, &json!({ "leaves": [] })).is_err(), "nothing was compared");
        assert!(agree("0000000000000000 T _text", &unnamed).is_err(), "hidden addresses");
    }
}
