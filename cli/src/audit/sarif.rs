//! Findings as SARIF, the format that code hosts and editors show.
//!
//! Source: *Static Analysis Results Interchange Format (SARIF) Version 2.1.0*, OASIS.

use std::io;

use serde_json::{Value, json};

use super::finding::{Finding, Kind, Weight};
use crate::screen::Screen;

/// Writes the findings of an audit of `source`.
///
/// # Errors
/// When they cannot be written.
pub(super) fn write(findings: &[Finding], source: &str, screen: &mut Screen) -> io::Result<()> {
    let rule = |kind: &Kind| json!({ "id": kind.text(), "shortDescription": { "text": kind.description() } });
    let rules: Vec<Value> = Kind::ALL.iter().map(rule).collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, source)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "blockmap audit",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "results": results,
        }],
    });
    screen.json(&document)
}

fn result(finding: &Finding, source: &str) -> Value {
    let level = match finding.weight {
        Weight::Denied => "error",
        Weight::Noted => "note",
    };
    let text = format!("{} {}", finding.rights, finding.what());
    json!({
        "ruleId": finding.kind.text(),
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(source) },
            "address": {
                "absoluteAddress": finding.start.0,
                "length": finding.bytes,
                "kind": "page",
                "name": finding.region.text(),
                "fullyQualifiedName": finding.start.to_string(),
            },
        } }],
    })
}

/// The source as a relative reference, which may have few characters as they are.
fn uri(source: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte);
    let write = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    source.bytes().map(write).collect()
}
