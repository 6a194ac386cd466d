//! Whether two dumps say the same, and whether an audit found what is there.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::blockmap::number;
use crate::guest::kind::Kind;

/// How many differing lines are shown.
const SHOWN: usize = 6;

/// Compares two dumps line by line. A line that names an area may stand elsewhere, and then part
/// a gap elsewhere, if no source tells where that area starts: Linux's fixmap.
pub(super) fn texts(theirs: &str, ours: &str) -> Result<String> {
    if theirs == ours {
        return Ok(format!("{} lines", ours.lines().count()));
    }
    let (mapped_theirs, mapped_ours) = (told(theirs), told(ours));
    if mapped_theirs == mapped_ours {
        let differing = theirs.lines().filter(|line| ours.lines().all(|other| other != *line));
        let count = differing.count();
        return Ok(format!(
            "{} lines, but for {count} around `Fixmap start`",
            ours.lines().count()
        ));
    }
    let only = |mark: char, these: &[&str], those: &[&str]| -> Vec<String> {
        let lines = these.iter().filter(|line| !those.contains(line));
        lines.take(SHOWN).map(|line| format!("{mark} {line}")).collect()
    };
    let mut lines = only('-', &mapped_theirs, &mapped_ours);
    lines.extend(only('+', &mapped_ours, &mapped_theirs));
    bail!("(- it, + the image)\n{}", lines.join("\n"))
}

/// The lines of a dump but for where the fixmap starts: those of leaves, and of areas that are
/// known.
fn told(text: &str) -> Vec<&str> {
    let is_gap = |line: &str| line.split_whitespace().count() == 3;
    text.lines().filter(|line| !line.contains("Fixmap start") && !is_gap(line)).collect()
}

/// What an audit is to find: read-only executable memory that its linear alias can write, in the
/// guest that was told to leave that open, and nothing of the kind in any other.
pub(super) fn findings(kind: Kind, found: &Value) -> Result<String> {
    let findings = found["findings"].as_array().context("an audit without `findings`")?;
    let bytes = findings.iter().map(|finding| {
        let bytes = &finding["bytes"];
        bytes.as_u64().or_else(|| number(bytes)).context("a finding without `bytes`")
    });
    let bytes: u64 = bytes.sum::<Result<u64>>()?;
    let text = format!("{} findings, {} KiB", findings.len(), bytes >> 10);
    match kind {
        Kind::NoAlias if findings.is_empty() => bail!("{text}: writable aliases are there"),
        Kind::NoAlias => Ok(text),
        Kind::Blocks | Kind::Pages | Kind::Granule16 | Kind::Own | Kind::OwnPages => {
            if findings.is_empty() { Ok(text) } else { bail!("{text}: {found}") }
        }
    }
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
}
