//! The changes that may survive, each under its reason.
//!
//! ```text
//! # A comment.
//! why   The two bits never come together, so or and exclusive or are the same.
//! crates/vmsa/src/word.rs: replace | with ^ in Geometry::table_word
//! ```
//!
//! The lines after a reason are the changes it is for, in the tool's own words.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};

/// Changes that may survive.
pub(super) type Reasons = BTreeSet<String>;

/// Reads the list.
pub(super) fn parse(text: &str) -> Result<Reasons> {
    let mut reasons = Reasons::new();
    let mut reason = None;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() {
            reason = None;
        } else if let Some(why) = line.strip_prefix("why ") {
            reason = Some(why.trim()).filter(|why| !why.is_empty());
        } else if !line.starts_with('#') {
            reason.with_context(|| format!("line {number}: no reason stands above it"))?;
            if !reasons.insert(line.to_owned()) {
                bail!("line {number}: {line} is there already");
            }
        }
    }
    Ok(reasons)
}

/// What became of the changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    noticed: usize,
    /// Survived, with a reason.
    excused: usize,
    /// Survived without.
    holes: Vec<String>,
    /// Noticed although there is a reason why that can't be.
    refuted: Vec<String>,
}

impl Outcome {
    /// Whether everything is as the list says.
    pub(super) fn is_good(&self) -> bool {
        self.holes.is_empty() && self.refuted.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hole in &self.holes {
            writeln!(f, "SURVIVED {hole}")?;
        }
        for line in &self.refuted {
            writeln!(f, "NOTICED although a reason says it can't be: {line}")?;
        }
        let survived = self.excused + self.holes.len();
        writeln!(f, "{} noticed, {survived} survived, {} excused", self.noticed, self.excused)
    }
}

/// Compares the tool's lists of what was missed and what was caught with the reasons.
pub(super) fn compare(reasons: &Reasons, missed: &str, caught: &str) -> Outcome {
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.trim().is_empty()).map(without_place).collect()
    };
    let (missed, caught) = (lines(missed), lines(caught));
    let (excused, holes): (Vec<_>, Vec<_>) =
        missed.iter().cloned().partition(|line| reasons.contains(line));
    // A function may have the same change in several places; a reason is for any of them.
    let refuted = caught.iter().filter(|line| reasons.contains(*line) && !missed.contains(line));
    let refuted = refuted.cloned().collect();
    Outcome { noticed: caught.len(), excused: excused.len(), holes, refuted }
}

/// A change without line and column, which any other change would shift.
fn without_place(line: &str) -> String {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = line.trim().splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(row), Some(column), Some(what))
            if is_number(&row) && is_number(&column) =>
        {
            format!("{file}:{what}")
        }
        _ => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# About it.\n\nwhy  Both are the same.\na.rs: one\na.rs: two\n";

    #[test]
    fn a_change_without_a_reason_is_refused() {
        assert_eq!(parse(LIST).unwrap().len(), 2);
        assert!(parse("a.rs: one").is_err());
        assert!(parse("why \na.rs: one").is_err());
        assert!(parse(&format!("{LIST}\na.rs: three")).is_err(), "its reason ended");
        assert!(parse(&format!("{LIST}a.rs: one")).is_err(), "twice");
    }

    #[test]
    fn only_what_has_a_reason_may_survive() {
        let reasons = parse(LIST).unwrap();
        let outcome = |missed, caught| compare(&reasons, missed, caught);
        assert!(outcome("a.rs: one\na.rs: two\n", "a.rs: three\n").is_good());
        assert!(outcome("a.rs:12:3: one\n", "a.rs:1:30: a::b\n").is_good());
        assert!(outcome("", "").is_good(), "a part of the changes may have been left out");
        assert_eq!(outcome("a.rs: three\n", "").holes, ["a.rs: three"]);
        assert_eq!(outcome("", "a.rs: one\n").refuted, ["a.rs: one"]);
        assert!(outcome("a.rs: one\n", "a.rs: one\n").is_good(), "in two places");
    }
}
