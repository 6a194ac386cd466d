//! What the monitor prints, read back: dumps and statistics.

use std::collections::BTreeMap;
use std::fmt;

use crate::machine::Booted;

/// The kernel's linear map: where it starts, and what it is a multiple of.
pub const LINEAR: u64 = 0xffff_0000_0000_0000;

/// One line of a dump: holding one tells that its two addresses and its size agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first address.
    pub start: u64,
    /// How many bytes from there on.
    pub bytes: u64,
    /// The size, the level's name and the attributes, as they are printed.
    pub words: Vec<String>,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let start = address(start)?;
        let bytes = address(end)?.wrapping_sub(start);
        let words: Vec<String> = words.map(str::to_owned).collect();
        assert_eq!(size(words.first()?), Some(bytes), "{text}");
        Some(Self { start, bytes, words })
    }

    /// Whether something is mapped, validly or not.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.words.len() > 2
    }

    /// Whether `word` is among its size, level and attributes.
    #[must_use]
    pub fn says(&self, word: &str) -> bool {
        self.words.iter().any(|one| one == word)
    }
}

impl fmt::Display for Line {
    /// The line without its end and its columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x} {}", self.start, self.words.join(" "))
    }
}

/// A dump: holding one tells that its lines follow each other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Its lines, without those that name areas.
    pub lines: Vec<Line>,
    /// What the W^X check said.
    pub check: String,
}

impl Dump {
    /// Reads a dump of this kernel or of Linux. Its lines are those of one table tree, in order.
    ///
    /// # Panics
    /// If there is a gap between two lines, or a size that their addresses do not have.
    #[must_use]
    pub fn parse(answer: &str) -> Self {
        let lines: Vec<Line> = answer.lines().filter_map(Line::parse).collect();
        for pair in lines.windows(2) {
            assert_eq!(pair[0].start.wrapping_add(pair[0].bytes), pair[1].start, "{answer}");
        }
        let check = answer.lines().find(|line| line.starts_with("Checked"));
        Self { lines, check: check.unwrap_or_default().to_owned() }
    }

    /// What is mapped from `start` bytes into the linear map up to `end` bytes, line by line
    /// without ends and columns. No line lies across `start`.
    #[must_use]
    pub fn linear(&self, start: u64, end: u64) -> Vec<String> {
        let all = self.mapped().filter(|line| line.start < LINEAR + end);
        let after = all.filter(|line| line.start + line.bytes > LINEAR + start);
        after.inspect(|line| assert!(line.start >= LINEAR + start)).map(Line::to_string).collect()
    }

    /// The leaves from `start` bytes into the linear map up to `end` bytes: how far each stretch of
    /// like ones reaches, their level and attributes. Memory tags are left out.
    #[must_use]
    pub fn leaves(&self, start: u64, end: u64) -> Vec<(u64, String)> {
        let mut leaves: Vec<(u64, String)> = Vec::new();
        for line in self.mapped().filter(|line| line.start < LINEAR + end) {
            let reach = (line.start - LINEAR + line.bytes).min(end);
            let says = line.words[1..].join(" ").replace("-TAGGED", "");
            match leaves.last_mut() {
                _ if reach <= start => {}
                Some((before, same)) if *same == says => *before = reach,
                _ => leaves.push((reach, says)),
            }
        }
        leaves
    }

    /// The lines that something is mapped in.
    pub fn mapped(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.is_mapped())
    }

    /// How many bytes are mapped whose line has every one of `words`.
    #[must_use]
    pub fn bytes_that_say(&self, words: &[&str]) -> u64 {
        let says = |line: &&Line| words.iter().all(|word| line.says(word));
        self.mapped().filter(says).map(|line| line.bytes).sum()
    }
}

/// What `stat` printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it said of the map: `leaves 1G`, `tables below the root`, and the number or size.
    pub map: BTreeMap<String, String>,
    /// What it said of memory: `free`, `tables`, and the number of frames.
    pub frames: BTreeMap<String, u64>,
    /// How many tables are kept ready, which nothing leads to.
    pub tables_ready: u64,
}

impl Stat {
    fn parse(answer: &str) -> Self {
        let (mut map, mut frames, mut tables_ready) = (BTreeMap::new(), BTreeMap::new(), 0);
        for line in answer.lines().filter_map(|line| line.strip_prefix("  ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (line.split_once(": "), &*words) {
                (Some((name, value)), _) => {
                    map.insert(name.to_owned(), value.to_owned());
                }
                (None, ["frames", state, count, _bytes]) => {
                    frames.insert((*state).to_owned(), count.parse().unwrap());
                }
                (None, ["tables", "kept", "ready", count, _bytes]) => {
                    tables_ready = count.parse().unwrap();
                }
                (None, [name @ .., count, _bytes]) => {
                    map.insert(name.join(" "), (*count).to_owned());
                }
                (None, _) => panic!("no statistics: {line}"),
            }
        }
        Self { map, frames, tables_ready }
    }

    /// The number of what has this name; zero where there is none.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.map.get(name).map_or(0, |count| count.parse().unwrap())
    }

    /// How many tables the linear map has below the root.
    #[must_use]
    pub fn tables(&self) -> u64 {
        self.count("tables below the root")
    }
}

impl Booted {
    /// What `ptdump` printed, each time.
    #[must_use]
    pub fn dumps(&self) -> Vec<Dump> {
        let answers = ["ptdump linear", "ptdump", "ptdump all"].map(|told| self.answers(told));
        answers.into_iter().flatten().map(Dump::parse).collect()
    }

    /// What `stat` printed, each time.
    #[must_use]
    pub fn stats(&self) -> Vec<Stat> {
        self.answers("stat").map(Stat::parse).collect()
    }
}

fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The bytes of a size as dumps have it: `4K`, `130560G`.
fn size(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let shift = 10 * (1 + "KMGTPE".find(unit)?);
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(number << shift)
}
