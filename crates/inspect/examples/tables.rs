//! Prints what is found in a source, and its trees as Linux would: `tables SOURCE`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Instant;

use blockmap_inspect::dump::Style;
use blockmap_inspect::{Overrides, SourceSpec, open};

fn main() -> Result<(), Box<dyn Error>> {
    let text = std::env::args().nth(1).ok_or("name a source, such as qmp:SOCKET")?;
    let source: SourceSpec = text.parse()?;
    let start = Instant::now();
    let inspected = open(&source, &Overrides::default())?;
    let opened = start.elapsed();
    let markers = inspected.markers();
    let reader = inspected.reader();
    let mut text = String::new();
    for found in &inspected.trees {
        let style = Style { mair: inspected.dump_mair(), markers: &markers };
        found.tree(&reader).ptdump(style, &mut text)?;
    }
    let done = start.elapsed();
    println!("{text}");
    eprintln!("{}opened in {opened:?}, printed after {done:?}", inspected.origin);
    Ok(())
}
