//! What was found, and from where: nothing is guessed in silence.

use std::fmt;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// What the source turned out to be.
    Source,
    /// Which kernel it is of.
    Kernel,
    /// Which memory can be read, and how.
    Memory,
    /// Which registers were read.
    Registers,
    /// Where a tree is, and what it looks like.
    Tables,
    /// Where the names of areas come from.
    Areas,
    /// Which symbols of the kernel are known.
    Symbols,
    /// Something that should be known before the rest is believed.
    Warning,
}

impl Topic {
    /// The word at the beginning of its lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Kernel => "kernel",
            Self::Memory => "memory",
            Self::Registers => "registers",
            Self::Tables => "tables",
            Self::Areas => "areas",
            Self::Symbols => "symbols",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub topic: Topic,
    /// What was found, and from where.
    pub text: String,
}

/// What was found, in the order of finding. It prints as a line for each.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Provenance {
    lines: Vec<Line>,
}

impl Provenance {
    /// Every finding.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The warnings among them.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let warnings = self.lines.iter().filter(|line| line.topic == Topic::Warning);
        warnings.map(|line| &*line.text)
    }

    /// Adds a finding.
    pub(crate) fn add(&mut self, topic: Topic, text: impl Into<String>) {
        self.lines.push(Line { topic, text: text.into() });
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{:9} {}", line.topic.name(), line.text))
    }
}
