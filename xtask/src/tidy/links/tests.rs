//! A rule that has lost any of its links is found.

use super::*;

const RULE: &str = "### `one-rule`\n- Source: ours.\n- Obeyed by: code.\n- Checked: `a_test_of_the_rule`.\n\
     - Model: `broken` in\n  `check.rs`.\n- Bites: fault\n  `one-fault`.\n";
const FAULT: &str =
    "== one-fault\nfile a.rs\nrule one-rule\ntests x:lib\n- first();\n+ second();\n";

/// A tree in which every link holds, but for what `without` and `with` replace in one file.
fn whats(path: &str, (without, with): (&str, &str)) -> Vec<String> {
    let texts = [
        ("a.rs", "// So. [one-rule]\nfirst();\nfn a_test_of_the_rule() {}"),
        (REGISTER, RULE),
        (FAULTS, FAULT),
        (VERDICTS, "One = \"one-rule\","),
        ("crates/model/src/check.rs", "fn broken() {}"),
        ("crates/verify/legal/one-rule.trace", ""),
        ("crates/verify/illegal/one-rule.trace", "# [one-rule] at 0x0 on CPU 0"),
    ];
    let mut tree = Tree::default();
    for (name, text) in texts {
        let text = if name == path { text.replace(without, with) } else { text.to_owned() };
        if !(name == path && without.is_empty()) {
            tree.files.push(TextFile::new(name.to_owned(), text));
            tree.paths.push(name.to_owned());
        }
    }
    let mut problems = Vec::new();
    check(&tree, &mut problems);
    // A tree of one rule has none of the exemptions.
    let whats = problems.into_iter().map(|problem| problem.what);
    whats.filter(|what| !what.ends_with("are known")).collect()
}

#[test]
fn a_rule_with_all_its_links_is_in_order() {
    assert_eq!(whats("", ("", "")), [""; 0]);
}

#[test]
fn every_link_that_is_missing_is_found() {
    let broken = [
        ("a.rs", ("[one-rule]", "")),
        ("a.rs", ("first", "third")),
        ("a.rs", ("a_test", "no_test")),
        (REGISTER, ("- Source: ours.\n", "")),
        (REGISTER, ("`broken`", "nothing")),
        (REGISTER, ("`one-fault`", "`another-fault`")),
        (REGISTER, ("Source: ours", "Source: nothing yet")),
        (REGISTER, ("Model: `broken`", "Model: Below events: `broken`")),
        (FAULTS, ("rule one-rule", "rule no-rule")),
        (FAULTS, ("rule one-rule\n", "")),
        (VERDICTS, ("one-rule", "other-rule")),
        ("crates/model/src/check.rs", ("broken", "whole")),
        ("crates/verify/legal/one-rule.trace", ("", "")),
        ("crates/verify/illegal/one-rule.trace", ("", "")),
        ("crates/verify/illegal/one-rule.trace", ("one-rule", "other-rule")),
    ];
    for (path, change) in broken {
        assert!(!whats(path, change).is_empty(), "{path} {change:?}");
    }
}

#[test]
fn exemptions_are_counted() {
    let file = TextFile::new(REGISTER.to_owned(), RULE.to_owned());
    let tree = Tree { files: vec![file], paths: Vec::new() };
    let mut problems = Vec::new();
    check(&tree, &mut problems);
    let counted = problems.iter().filter(|problem| problem.what.ends_with("are known"));
    assert_eq!(counted.count(), EXEMPT.len());
}
