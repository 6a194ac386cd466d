//! The picture in a terminal: a sign for the size of leaves, a colour for what they grant.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use blockmap_dump::Size;

use super::Subject;
use super::grid::{Grid, Row};
use super::look::{Grain, Tint};
use crate::screen::{DIM, HEAD, Screen};

/// Rows at most: what a screen holds.
const ROWS: u64 = 32;

const fn style(tint: Tint) -> Style {
    match tint {
        Tint::Data => AnsiColor::Blue.on_default(),
        Tint::Constant => AnsiColor::Green.on_default(),
        Tint::Code => AnsiColor::Yellow.on_default(),
        Tint::Invalid => AnsiColor::Magenta.on_default(),
        Tint::Open => AnsiColor::Red.on_default().bold(),
    }
}

/// Writes the picture, as wide as the terminal has room for.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(subject: &Subject<'_>, screen: &mut Screen) -> io::Result<()> {
    // Twelve digits of the address and two blanks stand before each row.
    let room = screen.width().saturating_sub(14).max(16);
    let columns = 1 << room.ilog2();
    let grid = Grid::new(subject, columns, ROWS);
    let place = Size::of(grid.place_bytes);
    writeln!(
        screen,
        "{HEAD}{}{HEAD:#}: a sign is {place}, a line {}",
        subject.title,
        Size::of(grid.place_bytes * columns)
    )?;
    let mut next = None;
    for row in &grid.rows {
        if next.is_some_and(|next| next != row.start.0) {
            writeln!(screen, "{DIM}{:>12}{DIM:#}", "…")?;
        }
        write_row(row, screen)?;
        next = Some(row.start.0.wrapping_add(grid.place_bytes * columns));
    }
    write_legend(subject, &grid, screen)
}

fn write_row(row: &Row, screen: &mut Screen) -> io::Result<()> {
    // The digits above are the same in every row.
    write!(screen, "{DIM}{:012x}{DIM:#}  ", row.start.0 & ((1 << 48) - 1))?;
    let shown = row.places.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let mut places = row.places.iter().take(shown).peekable();
    while let Some(place) = places.next() {
        let Some(look) = place else {
            write!(screen, " ")?;
            continue;
        };
        let (style, mut signs) = (style(look.tint), look.grain.sign().to_string());
        while let Some(Some(other)) =
            places.next_if(|next| next.is_some_and(|next| next.tint == look.tint))
        {
            signs.push(other.grain.sign());
        }
        write!(screen, "{style}{signs}{style:#}")?;
    }
    writeln!(screen)
}

/// Says what the signs and colours mean that were used.
fn write_legend(subject: &Subject<'_>, grid: &Grid, screen: &mut Screen) -> io::Result<()> {
    let looks = || grid.rows.iter().flat_map(|row| row.places.iter().flatten());
    let geometry = subject.survey.geometry;
    for grain in Grain::ALL {
        if let Some(bytes) =
            grain.bytes(geometry).filter(|_| looks().any(|look| look.grain == grain))
        {
            let least = if grain == Grain::Large { " or more" } else { "" };
            write!(screen, "{} {}{least}   ", grain.sign(), Size::of(bytes))?;
        }
    }
    for tint in Tint::ALL.into_iter().filter(|tint| looks().any(|look| look.tint == *tint)) {
        let style = style(tint);
        write!(screen, "{style}■{style:#} {}   ", tint.text())?;
    }
    writeln!(screen)?;
    writeln!(
        screen,
        "{DIM}A sign shows the smallest leaf of its place, and what is least usual.{DIM:#}"
    )
}
