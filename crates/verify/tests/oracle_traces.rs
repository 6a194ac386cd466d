//! The programs in `illegal/` break the rule that their first line names, there and on that CPU;
//! their nearest neighbours in `legal/` break none.
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

use std::fs;
use std::path::{Path, PathBuf};

use blockmap_model::explore::{Options, Report, Slices, explore};
use blockmap_model::text::read;
use blockmap_model::verdict::Rule;

fn programs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn explored(path: &Path, slices: Slices) -> Report {
    let program = read(&fs::read_to_string(path).unwrap());
    let program = program.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    explore(&program, Options { slices, ..Options::QUICK }).unwrap()
}

#[test]
fn legal_programs_break_no_rule() {
    for path in programs("legal") {
        for slices in [Slices::Edges, Slices::Each] {
            let report = explored(&path, slices);
            let verdicts: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
            assert!(verdicts.is_empty(), "{}:\n{}", path.display(), verdicts.join(""));
        }
    }
}

#[test]
fn illegal_programs_break_the_rule_they_name() {
    for path in programs("illegal") {
        let text = fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().trim_start_matches("# ");
        let report = explored(&path, Slices::Edges);
        let all: Vec<String> = report.verdicts.iter().map(ToString::to_string).collect();
        let found = all.first().and_then(|verdict| verdict.lines().next());
        assert_eq!(found, Some(expected), "{}:\n{}", path.display(), all.join(""));
    }
}

#[test]
fn every_rule_has_an_illegal_program_and_a_legal_neighbour() {
    let names = |folder: &str| -> Vec<String> {
        let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        programs(folder).into_iter().map(name).collect()
    };
    let (legal, illegal) = (names("legal"), names("illegal"));
    for rule in Rule::ALL {
        assert!(illegal.iter().any(|name| name == rule.key()), "no illegal/{}.trace", rule.key());
        assert!(legal.iter().any(|name| name == rule.key()), "no legal/{}.trace", rule.key());
    }
}
