//! That every rule is linked: from the manual to code, to the model's check, to programs that break
//! it and keep it, to faults that are noticed.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{TextFile, Tree};
use super::{Check, Problem};
use crate::mutants::list::{Mutant, parse};

const REGISTER: &str = "docs/rules.md";
const FAULTS: &str = "crates/verify/mutants.txt";
const MODEL: &str = "crates/model/src/";
const VERDICTS: &str = "crates/model/src/verdict.rs";

/// What a description says, a line each that may go on.
const FIELDS: [&str; 5] = ["Source", "Obeyed by", "Checked", "Model", "Bites"];

/// Why the model has no check of a rule's own, and of how many rules that is true. There is no other
/// reason, and none for a fault that nothing notices.
const EXEMPT: [(&str, usize); 3] = [
    // The model finds what breaks it, and calls it by the key of what goes wrong then.
    ("Under ", 7),
    // It is about how one event is performed, and a list of events does not show that.
    ("Below events", 2),
    // It is about what start-up does before there are events.
    ("Before events", 1),
];

/// A rule's description.
struct Description<'t> {
    key: &'t str,
    line: usize,
    fields: BTreeMap<&'t str, String>,
}

impl Description<'_> {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Why the model has no check of its own for it.
    fn exemption(&self) -> Option<&'static str> {
        let model = self.field("Model");
        EXEMPT.iter().map(|(kind, _)| *kind).find(|kind| model.starts_with(kind))
    }
}

/// Follows every rule's links.
pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let Some(register) = tree.file(REGISTER) else { return };
    let faults = tree.file(FAULTS).map_or("", |file| &file.text);
    let faults = match parse(faults) {
        Ok(faults) => faults,
        Err(error) => return problems.push(problem(FAULTS, 0, format!("{error:#}"))),
    };
    let functions = functions(tree);
    let descriptions = descriptions(register);
    for description in &descriptions {
        let mut say = |what: String| {
            let what = format!("[{}]: {what}", description.key);
            problems.push(problem(REGISTER, description.line, what));
        };
        for field in FIELDS.iter().filter(|field| description.field(field).is_empty()) {
            say(format!("it has no line `- {field}:`"));
        }
        check_code(tree, description, &mut say);
        check_model(tree, &descriptions, description, &mut say);
        check_bites(&faults, description, &mut say);
        let named = ["Checked", "Bites"].map(|field| quoted(description.field(field)));
        for name in named.into_iter().flatten().filter(|name| is_test(name)) {
            if !functions.contains(name) {
                say(format!("there is no test `{name}`"));
            }
        }
    }
    check_counts(&descriptions, problems);
    check_faults(tree, &descriptions, &faults, problems);
    for (line, text) in (1..).zip(register.text.lines()) {
        if text.to_lowercase().contains("nothing yet") {
            let what = "a rule without a check is none: `nothing yet`".to_owned();
            problems.push(problem(REGISTER, line, what));
        }
    }
}

fn problem(path: &str, line: usize, what: String) -> Problem {
    Problem { check: Check::Rule, place: path.to_owned(), line, measure: 1, what }
}

/// The rules' descriptions: a heading of the third level each.
fn descriptions(register: &TextFile) -> Vec<Description<'_>> {
    let mut all: Vec<Description<'_>> = Vec::new();
    let mut field = None;
    for (line, text) in (1..).zip(register.text.lines()) {
        if text.starts_with('#') {
            field = None;
        }
        if let Some(key) = text.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            all.push(Description { key, line, fields: BTreeMap::new() });
        }
        let Some(description) = all.last_mut() else { continue };
        if let Some(item) = text.strip_prefix("- ") {
            field = item.split_once(": ").filter(|(name, _)| FIELDS.contains(name));
            if let Some((name, value)) = field {
                description.fields.insert(name, value.to_owned());
            }
        } else if let (Some((name, _)), Some(more)) = (field, text.strip_prefix("  ")) {
            let value = description.fields.entry(name).or_default();
            value.push(' ');
            value.push_str(more);
        }
    }
    all
}

/// Code that is not there to judge others cites the rule.
fn check_code(tree: &Tree, description: &Description<'_>, say: &mut impl FnMut(String)) {
    let citation = format!("[{}]", description.key);
    let is_judge = |path: &str| path.starts_with(MODEL) || path.starts_with("crates/verify/");
    let mut code = tree.files.iter().filter(|file| file.is_code() && !is_judge(&file.path));
    let cites = |file: &TextFile| {
        file.source.comments.iter().any(|comment| comment.text.contains(&citation))
    };
    if !code.any(cites) {
        say("no code but the model cites it".to_owned());
    }
}

/// The model has a check of the rule, or it is said why not; programs break it and keep it.
fn check_model(
    tree: &Tree,
    all: &[Description<'_>],
    description: &Description<'_>,
    say: &mut impl FnMut(String),
) {
    let has_verdict = |key: &str| {
        let literal = format!("= \"{key}\"");
        tree.file(VERDICTS).is_some_and(|file| file.text.contains(&literal))
    };
    let key = description.key;
    let model = description.field("Model");
    let mut expected = key;
    match (description.exemption(), has_verdict(key)) {
        (Some(kind), true) => say(format!("the model has a verdict for it, and so not `{kind}`")),
        (None, false) => say("the model has no verdict for it, and no reason why".to_owned()),
        (Some("Under "), false) => match quoted(model).next() {
            Some(other) if has_verdict(other) && all.iter().any(|rule| rule.key == other) => {
                expected = other;
            }
            Some(_) | None => {
                say("`Under` names no key that the model has a verdict for".to_owned());
            }
        },
        (Some(_), false) => return,
        (None, true) => {
            let defines = |name: &str| {
                let text = format!("fn {name}(");
                let mut files = tree.files.iter().filter(|file| file.path.starts_with(MODEL));
                files.any(|file| file.text.contains(&text))
            };
            if !quoted(model).any(defines) {
                say("`Model` names no function of the model".to_owned());
            }
        }
    }
    let path = |folder: &str| format!("crates/verify/{folder}/{key}.trace");
    if !tree.paths.contains(&path("legal")) {
        say(format!("there is no {}", path("legal")));
    }
    let illegal = tree.file(&path("illegal"));
    let verdict = format!("# [{expected}] ");
    if illegal.is_none_or(|file| !file.text.starts_with(&verdict)) {
        say(format!("there is no {} that begins with `{verdict}`", path("illegal")));
    }
}

/// The faults that are said to break the rule are those that say so.
fn check_bites(faults: &[Mutant], description: &Description<'_>, say: &mut impl FnMut(String)) {
    let bites = quoted(description.field("Bites")).filter(|name| is_fault(name));
    let listed: BTreeSet<&str> = bites.collect();
    let own = faults.iter().filter(|fault| fault.rule.as_deref() == Some(description.key));
    let own: BTreeSet<&str> = own.map(|fault| fault.name.as_str()).collect();
    for name in own.difference(&listed) {
        say(format!("`Bites` lacks the fault `{name}`"));
    }
    for name in listed.difference(&own) {
        say(format!("no fault of this rule is `{name}`"));
    }
    if own.is_empty() {
        say(format!("no fault in {FAULTS} breaks it"));
    }
}

/// Each exemption is used as often as is known.
fn check_counts(descriptions: &[Description<'_>], problems: &mut Vec<Problem>) {
    for (kind, known) in EXEMPT {
        let used = descriptions.iter().filter(|rule| rule.exemption() == Some(kind)).count();
        if used != known && !descriptions.is_empty() {
            let what = format!("{used} rules are exempt as `{kind}`; {known} are known");
            problems.push(problem(REGISTER, 0, what));
        }
    }
}

/// The faults fit the tree, and name rules that there are.
fn check_faults(
    tree: &Tree,
    descriptions: &[Description<'_>],
    faults: &[Mutant],
    problems: &mut Vec<Problem>,
) {
    for fault in faults {
        let file = tree.file(&fault.file);
        let count = file.map_or(0, |file| file.text.matches(&fault.old).count());
        if count != 1 {
            let what =
                format!("{}: the text it replaces is {count} times in {}", fault.name, fault.file);
            problems.push(problem(FAULTS, 0, what));
        }
        if let Some(rule) = &fault.rule
            && !descriptions.iter().any(|description| description.key == rule)
        {
            let what = format!("{}: [{rule}] is not described in {REGISTER}", fault.name);
            problems.push(problem(FAULTS, 0, what));
        }
    }
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a quotation is a fault's name: words joined by hyphens.
fn is_fault(name: &str) -> bool {
    name.contains('-') && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Whether a quotation is a test's name: three words or more.
fn is_test(name: &str) -> bool {
    name.matches('_').count() > 2
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// The functions of the tree.
fn functions(tree: &Tree) -> BTreeSet<&str> {
    let rust = tree.files.iter().filter(|file| file.is_rust());
    let all = rust.flat_map(|file| file.text.split("fn ").skip(1));
    all.filter_map(|rest| rest.split(['(', '<']).next()).collect()
}

#[cfg(test)]
mod tests;
