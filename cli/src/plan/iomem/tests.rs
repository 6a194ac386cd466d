//! Texts of `/proc/iomem`: what is read of them, and what is said of those that make no sense.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const TEXT: &str = "\
09000000-09000fff : pl011@9000000
40000000-33fffffff : System RAM
  40210000-4075ffff : Kernel code
  407d0000-4093bfff : Kernel data
  48000000-480fffff : reserved
";

#[test]
fn memory_reservations_and_the_image_are_found() {
    let map = read(TEXT).unwrap();
    assert!(is_iomem(TEXT));
    assert_eq!(map.banks(), [PhysRange::new(PhysAddr::new(1 << 30), 12 << 30).unwrap()]);
    assert_eq!(map.reserved().len(), 1);
    let image = map.image().unwrap();
    assert_eq!(image.load.start(), PhysAddr::new(0x4020_0000));
    assert_eq!(image.rodata.end(), PhysAddr::new(0x4076_0000));
}

#[test]
fn what_tells_of_no_memory_says_why() {
    let hidden = "00000000-00000000 : System RAM\n";
    assert_eq!(read(hidden), Err(IomemError::Hidden));
    assert_eq!(read("1-2 : x\n"), Err(IomemError::NoMemory));
    assert_eq!(read("1-2 : x\nnothing\n"), Err(IomemError::Line(2)));
    assert_eq!(read("2-1 : x\n"), Err(IomemError::Line(1)));
    assert!(!is_iomem("512G@0"));
}

/// A line: one that Linux may write, or something like one.
fn line() -> impl Strategy<Value = String> {
    let names = ["System RAM", "reserved", "Kernel code", "Kernel data", "pl011@9000000", ""];
    let edge = select(vec![0, 0xffff, 0x4000_0000, 0x4021_0000, 1 << 48, u64::MAX]);
    let address = prop_oneof![edge, any::<u64>(), 0..1_u64 << 34];
    let ordered = (address.clone(), address, select(names.to_vec()), "  |    |");
    let likely = ordered.prop_map(|(one, two, name, indent)| {
        format!("{indent}{:08x}-{:08x} : {name}", one.min(two), one.max(two))
    });
    prop_oneof![9 => likely, 1 => "[ 0-9a-f:+-]{0,20}( : )?.{0,8}"]
}

#[test]
fn code_that_reaches_beyond_the_data_is_no_image() {
    let text = "0-ffffffff : System RAM\n0-40000000 : Kernel data\n0-40000000 : Kernel code\n";
    assert_eq!(read(text).unwrap().image(), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_the_line_that_is_wrong_named(
        lines in prop::collection::vec(line(), 0..12),
    ) {
        match read(&lines.join("\n")) {
            Ok(map) => {
                prop_assert!(!map.banks().is_empty());
                if let Some(Image { load, text, rodata }) = map.image() {
                    prop_assert!(load.covers(text) && load.covers(rodata));
                }
            }
            Err(IomemError::Line(number) | IomemError::Range { line: number, .. }) => {
                prop_assert!(!lines[number - 1].trim().is_empty());
            }
            Err(IomemError::Hidden | IomemError::NoMemory) => {}
        }
    }

    #[test]
    fn banks_are_read_as_they_are_written(steps in prop::collection::vec((1_u64..99, 1_u64..99), 1..9)) {
        let mut next = 0;
        let mut banks = Vec::new();
        for (gap, pages) in steps {
            banks.push(PhysRange::new(PhysAddr::new(next + gap * 4096), pages * 4096).unwrap());
            next += (gap + pages) * 4096;
        }
        let line = |bank: &PhysRange| {
            format!("{:08x}-{:08x} : System RAM\n", bank.start().value(), bank.last().value())
        };
        let text: String = banks.iter().map(line).collect();
        let map = read(&text).unwrap();
        prop_assert_eq!(map.banks(), banks);
    }
}
