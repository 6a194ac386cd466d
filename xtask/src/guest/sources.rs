//! Where this machine gets its packages from, said of another suite.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Suites that a machine may follow by name.
const ROLLING: [&str; 4] = ["stable", "testing", "unstable", "sid"];

/// The stanza of a package source that has `suite` for arm64: the one that this machine's own
/// packages come from, with another suite.
pub(super) fn of_this_machine(suite: &str) -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let own = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let own = own.map(|name| name.trim_matches('"'));
    for file in files(Path::new("/etc/apt")) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let is_of_stanzas = file.extension().is_some_and(|extension| extension == "sources");
        let sources =
            if is_of_stanzas { stanzas(&text) } else { text.lines().filter_map(line).collect() };
        let mut sources = sources.into_iter();
        if let Some(source) = sources.find(|source| is_main(source, own)) {
            return Ok(with_suite(&source, suite));
        }
    }
    bail!(
        "no source in /etc/apt has this machine's own release ({}) and a component `main`: guests \
         are fetched on Debian only",
        own.unwrap_or("unnamed")
    )
}

/// The fields of one source.
type Source = BTreeMap<String, String>;

fn files(folder: &Path) -> Vec<PathBuf> {
    let parts = fs::read_dir(folder.join("sources.list.d")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = parts.map(|part| part.path()).collect();
    files.sort();
    files.insert(0, folder.join("sources.list"));
    files
}

/// The stanzas of a file in the format of many lines.
fn stanzas(text: &str) -> Vec<Source> {
    let is_empty = |line: &&str| line.trim().is_empty();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(is_empty)
        .map(|stanza| {
            let fields = stanza.iter().filter_map(|line| line.split_once(':'));
            fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
        })
        .filter(|source: &Source| !source.is_empty())
        .collect()
}

/// One line of a file in the format of one line a source.
fn line(text: &str) -> Option<Source> {
    let rest = text.trim().strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let mut source = Source::from([("Types".to_owned(), "deb".to_owned())]);
    source.insert("URIs".to_owned(), words.next()?.to_owned());
    source.insert("Suites".to_owned(), words.next()?.to_owned());
    source.insert("Components".to_owned(), words.collect::<Vec<_>>().join(" "));
    let signed = options.split_whitespace().find_map(|word| word.strip_prefix("signed-by="));
    if let Some(key) = signed {
        source.insert("Signed-By".to_owned(), key.to_owned());
    }
    Some(source)
}

/// Whether `source` has the main component of the release that this machine runs.
fn is_main(source: &Source, own: Option<&str>) -> bool {
    let has = |field: &str, word: &str| {
        source.get(field).is_some_and(|value| value.split_whitespace().any(|part| part == word))
    };
    let is_followed = own.is_some_and(|own| has("Suites", own))
        || ROLLING.iter().any(|suite| has("Suites", suite));
    has("Types", "deb") && has("Components", "main") && is_followed
}

fn with_suite(source: &Source, suite: &str) -> String {
    let mut fields = source.clone();
    for (name, value) in
        [("Types", "deb"), ("Suites", suite), ("Components", "main"), ("Architectures", "arm64")]
    {
        fields.insert(name.to_owned(), value.to_owned());
    }
    let lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: &str = "# A comment.\nTypes: deb\nURIs: http://archive.example/debian\n\
        Suites: old old-updates\nComponents: main\nSigned-By: /keys.gpg\n\n\
        Types: deb\nURIs: http://archive.example/security\nSuites: old-security\nComponents: main\n";

    #[test]
    fn the_machines_own_archive_is_asked_for_another_suite() {
        let sources = stanzas(MANY);
        assert_eq!(sources.len(), 2);
        let own = sources.iter().find(|source| is_main(source, Some("old"))).unwrap();
        let expected = "Architectures: arm64\nComponents: main\nSigned-By: /keys.gpg\nSuites: new\n\
             Types: deb\nURIs: http://archive.example/debian\n";
        assert_eq!(with_suite(own, "new"), expected);
        assert!(!is_main(&sources[1], Some("old")), "security updates are not the archive");
    }

    #[test]
    fn a_source_in_one_line_is_understood() {
        let text =
            "deb [arch=amd64 signed-by=/keys.gpg] http://archive.example/debian old main contrib";
        let source = line(text).unwrap();
        assert!(is_main(&source, Some("old")));
        assert_eq!(source["Signed-By"], "/keys.gpg");
        assert_eq!(line("# deb http://archive.example/debian old main"), None);
        assert_eq!(line("deb-src http://archive.example/debian old main"), None);
    }
}
