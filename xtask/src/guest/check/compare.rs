//! Whether two dumps say the same, and whether an audit found what is there.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::guest::kind::Kind;

/// How many differing lines are shown.
const SHOWN: usize = 6;

/// Compares two dumps, which both have the areas as the kernel itself has them.
pub(super) fn exactly(theirs: &str, ours: &str) -> Result<String> {
    differences(theirs, ours, |_| true)?;
    Ok(format!("{} lines, every byte", ours.lines().count()))
}

/// Compares two dumps line by line. A line that names an area may stand elsewhere, and then part
/// a gap elsewhere, if no source tells where that area starts: Linux's fixmap.
pub(super) fn texts(theirs: &str, ours: &str) -> Result<String> {
    let lines = ours.lines().count();
    if theirs == ours {
        return Ok(format!("{lines} lines"));
    }
    let is_told = |line: &&str| !line.contains("Fixmap start") && !is_gap(line);
    differences(theirs, ours, is_told)?;
    let differing = theirs.lines().filter(|line| ours.lines().all(|other| other != *line));
    Ok(format!("{lines} lines, but for {} around `Fixmap start`", differing.count()))
}

/// Compares the leaves of two dumps: what there is to compare with a source that does not tell
/// what the areas of memory are called.
pub(super) fn leaves(theirs: &str, ours: &str) -> Result<String> {
    let is_leaf = |line: &&str| !line.starts_with("---[") && !is_gap(line);
    differences(theirs, ours, is_leaf)?;
    Ok(format!("{} lines of leaves", ours.lines().filter(is_leaf).count()))
}

/// Fails if the lines that count are not the same ones in the same order.
fn differences(theirs: &str, ours: &str, counts: impl Fn(&&str) -> bool) -> Result<()> {
    let theirs: Vec<&str> = theirs.lines().filter(&counts).collect();
    let ours: Vec<&str> = ours.lines().filter(&counts).collect();
    if theirs == ours && !ours.is_empty() {
        return Ok(());
    }
    let only = |mark: char, these: &[&str], those: &[&str]| -> Vec<String> {
        let lines = these.iter().filter(|line| !those.contains(line));
        lines.take(SHOWN).map(|line| format!("{mark} {line}")).collect()
    };
    let mut lines = only('-', &theirs, &ours);
    lines.extend(only('+', &ours, &theirs));
    bail!(
        "{} lines and {} lines (- the first, + the second)\n{}",
        theirs.len(),
        ours.len(),
        lines.join("\n")
    )
}

/// Whether a line has nothing behind its level.
fn is_gap(line: &str) -> bool {
    line.split_whitespace().count() == 3
}

/// What an audit is to find: executable memory that its linear alias can write, in the guest that
/// was told to leave that open, and nothing that is denied in any other.
pub(super) fn findings(kind: Kind, found: &Value) -> Result<String> {
    let findings = found["findings"].as_array().context("an audit without `findings`")?;
    let mut denied = Vec::new();
    let mut has_alias = false;
    for finding in findings.iter().filter(|finding| finding["weight"] == "denied") {
        let what = finding["kind"].as_str().context("a finding without `kind`")?;
        let bytes = finding["bytes"].as_u64().context("a finding without `bytes`")?;
        has_alias |= what == "x-alias";
        denied.push(format!("{what} {} KiB", bytes >> 10));
    }
    let is_open = kind == Kind::NoAlias;
    if has_alias != is_open || is_open == denied.is_empty() {
        bail!(
            "denied: {}",
            if denied.is_empty() { "nothing".to_owned() } else { denied.join(", ") }
        );
    }
    Ok(if denied.is_empty() { "nothing denied".to_owned() } else { denied.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "---[ vmemmap start ]---\n\
        0xff00-0xff10     16 PTE       RW NX\n\
        0xff10-0xff20     16 PTE\n\
        ---[ Fixmap start ]---\n\
        0xff20-0xff30     16 PTE\n\
        0xff30-0xff40     16 PTE       ro NX\n";

    #[test]
    fn only_the_start_of_the_fixmap_may_be_elsewhere() {
        assert_eq!(texts(OURS, OURS).unwrap(), "6 lines");
        let moved = OURS
            .replace("0xff10-0xff20", "0xff10-0xff18")
            .replace("0xff20-0xff30", "0xff18-0xff30");
        assert_eq!(texts(&moved, OURS).unwrap(), "6 lines, but for 2 around `Fixmap start`");
        let other = OURS.replace("ro NX", "RW NX");
        let error = texts(&other, OURS).unwrap_err().to_string();
        assert!(error.contains("- 0xff30-0xff40     16 PTE       RW NX"), "{error}");
        assert!(texts(&OURS.replace("vmemmap start", "elsewhere"), OURS).is_err());
        assert!(texts("", OURS).is_err());
    }

    #[test]
    fn what_an_audit_denies_is_right_in_one_guest_only() {
        let found = |kind: &str| {
            serde_json::json!({ "findings": [
                { "kind": kind, "weight": "denied", "bytes": 8192 },
                { "kind": "ro-alias", "weight": "noted", "bytes": 4096 },
            ]})
        };
        assert_eq!(findings(Kind::NoAlias, &found("x-alias")).unwrap(), "x-alias 8 KiB");
        assert!(findings(Kind::NoAlias, &found("ro-alias")).is_err(), "the worst was not found");
        assert!(findings(Kind::Pages, &found("ro-alias")).is_err());
        let none = serde_json::json!({ "findings": [] });
        assert!(findings(Kind::Pages, &none).is_ok());
        assert!(findings(Kind::NoAlias, &none).is_err());
    }

    #[test]
    fn leaves_are_compared_where_areas_have_no_names() {
        let plain: Vec<&str> = OURS.lines().filter(|line| !line.contains("---")).collect();
        assert_eq!(leaves(&plain.join("\n"), OURS).unwrap(), "2 lines of leaves");
        assert!(leaves(&plain[1..].join("\n"), OURS).is_err());
        assert!(leaves("", "").is_err(), "nothing was compared");
    }
}
