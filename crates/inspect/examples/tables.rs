//! Prints what is found in a source, and its trees as Linux would: `tables SOURCE`. With a second
//! argument, writes a snapshot of it there.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::time::Instant;

use blockmap_inspect::dump::Style;
use blockmap_inspect::{Overrides, SourceSpec, open};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let source: SourceSpec = arguments.next().unwrap_or_default().parse()?;
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
    if let Some(path) = arguments.next() {
        fs::write(path, inspected.snapshot())?;
    }
    Ok(())
}
