//! Where a command's answer goes: text in columns for people, JSON for programs.

mod columns;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

pub(crate) use columns::{Columns, plain, right};

/// Headings, and what a line is about.
pub(crate) const HEAD: Style = Style::new().bold();
/// What is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What is worth a look.
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What may be skipped.
pub(crate) const DIM: Style = Style::new().dimmed();

/// How a command ends that could do its work; the exit status says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to report: status 0.
    Clean,
    /// Something was found, or differs: status 1.
    Finding,
}

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
}

/// Standard output, with what is known of it.
pub(crate) struct Screen {
    out: Box<dyn Write>,
    form: Form,
    width: usize,
}

impl Screen {
    /// Columns assumed where there is no terminal to ask, and the least a picture is given.
    pub(crate) const WIDTH: usize = 80;

    /// Standard output, for answers in `form`.
    pub(crate) fn new(form: Form) -> Self {
        let wide = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        // A terminal as wide as a wall makes columns that no eye can follow.
        let width = wide.unwrap_or(Self::WIDTH).clamp(40, 200);
        let out = io::BufWriter::new(anstream::AutoStream::auto(io::stdout()));
        Self { out: Box::new(out), form, width }
    }

    /// What the answer shall look like.
    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// Columns of the terminal.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Writes one JSON document: `schema` is `blockmap.` and the command, then `/` and the
    /// version of what follows, which changes when a field changes its meaning or goes away.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn document<T: Serialize>(
        &mut self,
        schema: &'static str,
        body: &T,
    ) -> io::Result<()> {
        self.json(&Document { schema, body })
    }

    /// Writes JSON of somebody else's schema.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn json<T: Serialize>(&mut self, document: &T) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, document).map_err(io::Error::from)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

/// A document and its schema.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell when this fails: a reader that went away is no error.
        drop(self.out.flush());
    }
}
