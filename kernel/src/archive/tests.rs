//! Archives made here, whole, cut off and damaged.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;

fn entry(mode: usize, name: &str, content: &str) -> String {
    let numbers = [1, mode, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
    let mut text = String::from("070701");
    text.extend(numbers.map(|number| format!("{number:08x}")));
    for piece in [format!("{name}\0"), content.into()] {
        text += &piece;
        text.extend(core::iter::repeat_n('\0', text.len().next_multiple_of(4) - text.len()));
    }
    text
}

fn archive() -> String {
    let entries = [
        entry(0o040_755, "modules", ""),
        entry(0o100_644, "modules/one", "first"),
        entry(0o020_600, "console", ""),
        entry(0o100_644, "two", ""),
        entry(0, TRAILER, ""),
        entry(0o100_644, "behind", "x"),
    ];
    entries.concat()
}

#[test]
fn ordinary_files_are_found_and_nothing_behind_the_trailer() {
    let text = archive();
    let archive = Archive::new(text.as_bytes());
    let names: Vec<&str> = archive.files().map(|file| file.unwrap().name).collect();
    assert_eq!(names, ["modules/one", "two"]);
    assert_eq!(archive.find("modules/one"), Ok(Some(b"first".as_slice())));
    assert_eq!(archive.find("two"), Ok(Some([].as_slice())));
    assert_eq!(archive.find("behind"), Ok(None));
}

#[test]
fn an_archive_without_its_trailer_or_cut_off_anywhere_is_an_error() {
    let text = archive();
    let trailer = text.find(TRAILER).unwrap() - HEADER_BYTES;
    assert_eq!(Archive::new(&[]).find("none"), Ok(None), "an archive of nothing has no files");
    for bytes in 1..trailer {
        let archive = Archive::new(&text.as_bytes()[..bytes]);
        assert!(archive.find("none").is_err(), "{bytes}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |from: &str, to: &str, error| {
        let text = entry(0o100_644, "name", "").replacen(from, to, 1);
        assert_eq!(Archive::new(text.as_bytes()).find("none"), Err(error), "{text}");
    };
    check("070701", "070707", ArchiveError::NoHeader(0));
    check("000081a4", "0000wxyz", ArchiveError::NoNumber(0));
    check("name\0", "name!", ArchiveError::NoName(0));
    check("00000005", "ffffffff", ArchiveError::CutOff(0));
    check("00000005", "00000000", ArchiveError::NoName(0));
}
