//! The picture as one page that needs nothing else: to zoom, to drag, with words under the pointer.

use anyhow::{Result, bail};
use blockmap_dump::vmsa::machine::VirtAddr;
use serde::Serialize;

use super::Subject;
use super::look::{Grain, Look, Tint};
use super::svg::{colours, escaped};
use crate::number::Hex;
use crate::words::{memory, rights};

/// The page, with places for its title, colours and data.
const PAGE: &str = include_str!("page.html");

/// Runs of leaves at most: what a browser draws without delay.
const MOST_RUNS: usize = 200_000;

/// What the page draws. Numbers of pages fit into the numbers that scripts have.
#[derive(Serialize)]
struct Data {
    base: Hex,
    page: u64,
    grains: Vec<&'static str>,
    tints: Vec<&'static str>,
    kinds: Vec<&'static str>,
    /// What leaves say, in words; runs name them by number.
    words: Vec<String>,
    /// First page, pages, grain, tint, words, and the output address in hexadecimal.
    runs: Vec<(u64, u64, u8, u8, usize, String)>,
}

/// The page for a picture of `subject`.
///
/// # Errors
/// There is too much for a page.
pub(super) fn page(subject: &Subject<'_>) -> Result<String> {
    if subject.leaves.len() > MOST_RUNS {
        let count = subject.leaves.len();
        bail!("{count} stretches are too many for a page: choose a part with --range or --region");
    }
    let geometry = subject.survey.geometry;
    let bits = geometry.granule().page_bits();
    let base = subject.leaves.first().map_or(VirtAddr::new(0), |leaves| leaves.range.start());
    let mut words: Vec<String> = Vec::new();
    let mut runs = Vec::new();
    for leaves in &subject.leaves {
        let says = format!(
            "{} {}",
            rights(geometry, leaves.mapped),
            memory(subject.mair, leaves.mapped.meaning)
        );
        let known = words.iter().position(|word| *word == says).unwrap_or_else(|| {
            words.push(says);
            words.len() - 1
        });
        let look = Look::of(geometry, leaves);
        let first = leaves.range.start().offset_from(base).unwrap_or(0) >> bits;
        let pages = leaves.range.bytes() >> bits;
        let output = format!("{:x}", leaves.mapped.output.value());
        runs.push((first, pages, look.grain.number(), look.tint.number(), known, output));
    }
    let names = |bytes: Option<u64>| match bytes {
        Some(bytes) => blockmap_dump::Size::of(bytes).to_string(),
        None => String::new(),
    };
    let sizes: Vec<String> =
        Grain::ALL.iter().rev().map(|grain| names(grain.bytes(geometry))).collect();
    let data = Data {
        base: Hex(base.value()),
        page: geometry.page_bytes(),
        grains: vec!["single pages", "runs of pages", "blocks", "runs of blocks", "large blocks"],
        tints: Tint::ALL.iter().map(|tint| tint.class()).collect(),
        kinds: Tint::ALL.iter().map(|tint| tint.text()).collect(),
        words,
        runs,
    };
    // Nothing in a script's data may end the script.
    let json = serde_json::to_string(&data)?.replace("</", "<\\/");
    let sizes = serde_json::to_string(&sizes)?;
    Ok(PAGE
        .replace("{{TITLE}}", &escaped(&subject.title))
        .replace("{{COLOURS}}", &colours())
        .replace("{{SIZES}}", &sizes)
        .replace("{{DATA}}", &json))
}
