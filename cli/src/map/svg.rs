//! The picture as SVG: light or dark as the reader's system is, with words under the pointer.

use std::fmt::Write as _;

use blockmap_dump::Size;

use super::Subject;
use super::grid::{Grid, Row};
use super::look::{Grain, Look, Tint};
use crate::number::Hex;

const COLUMNS: u64 = 128;
const ROWS: u64 = 96;
/// Width and height of a place, and where the first one is.
const PLACE: (usize, usize) = (6, 10);
const ORIGIN: (usize, usize) = (150, 56);

/// Lightness in percent of each grain, the smallest first: on a light ground, and on a dark one.
const LIGHT: [u8; 5] = [84, 72, 58, 45, 32];
const DARK: [u8; 5] = [26, 35, 46, 58, 72];

/// Ground, ink and faint ink of each theme.
const LIGHT_INK: [&str; 3] = ["#ffffff", "#1b1f24", "#6b7280"];
const DARK_INK: [&str; 3] = ["#14171b", "#e6e8eb", "#8b949e"];

/// Every look's name and colour in a theme.
fn theme(lightness: [u8; 5]) -> Vec<(String, String)> {
    let mut colours = Vec::new();
    for tint in Tint::ALL {
        let (hue, saturation) = match tint {
            Tint::Data => (215, 65),
            Tint::Constant => (150, 55),
            Tint::Code => (35, 85),
            Tint::Invalid => (300, 20),
            Tint::Open => (0, 85),
        };
        for grain in Grain::ALL {
            let number = grain.number();
            let light = lightness.get(usize::from(number)).copied().unwrap_or(50);
            let colour = hexadecimal(hue, saturation, u32::from(light));
            colours.push((format!("{}{number}", tint.class()), colour));
        }
    }
    colours
}

/// A colour by hue in degrees, and saturation and lightness in percent, as every reader knows it.
fn hexadecimal(hue: u32, saturation: u32, lightness: u32) -> String {
    // In hundredths of a percent: how far the strongest and the weakest part are from grey.
    let spread = saturation * (50 - lightness.abs_diff(50));
    let part = |shift: u32| {
        let turn = (hue + shift) % 360;
        // From -100 to 100 along the colour circle.
        let weight = match turn {
            0..60 => i64::from(turn) * 200 / 60 - 100,
            60..180 => 100,
            180..240 => 100 - i64::from(turn - 180) * 200 / 60,
            _ => -100,
        };
        let value = i64::from(lightness) * 100 + weight * i64::from(spread) / 100;
        (value * 255 / 10_000).clamp(0, 255)
    };
    format!("#{:02x}{:02x}{:02x}", part(120), part(0), part(240))
}

/// The colours of both themes, as custom properties that are named by tint and grain.
pub(super) fn colours() -> String {
    let properties = |lightness, [ground, ink, faint]: [&str; 3]| {
        let mut text = format!("--ground:{ground};--ink:{ink};--faint:{faint};");
        for (name, colour) in theme(lightness) {
            let _ = write!(text, "--{name}:{colour};");
        }
        text
    };
    let (light, dark) = (properties(LIGHT, LIGHT_INK), properties(DARK, DARK_INK));
    format!(":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n")
}

/// The same as rules, for programs that know no custom properties: the light theme comes first.
fn rules() -> String {
    let rules = |lightness, [ground, ink, faint]: [&str; 3]| {
        let mut text = format!(
            ".ground{{fill:{ground}}}.chop{{stroke:{ground}}}text{{fill:{ink}}}\
             .faint{{fill:{faint}}}.gap{{stroke:{faint}}}"
        );
        for (name, colour) in theme(lightness) {
            let _ = write!(text, ".{name}{{fill:{colour}}}");
        }
        text
    };
    let (light, dark) = (rules(LIGHT, LIGHT_INK), rules(DARK, DARK_INK));
    format!("{light}\n@media(prefers-color-scheme:dark){{{dark}}}\n")
}

/// The picture.
pub(super) fn picture(subject: &Subject<'_>) -> String {
    let grid = Grid::new(subject, COLUMNS, ROWS);
    let columns = usize::try_from(grid.columns).unwrap_or_default();
    let width = ORIGIN.0 + columns * PLACE.0 + 16;
    let height = ORIGIN.1 + (grid.rows.len() + 1) * PLACE.1 + 48;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace,monospace\" font-size=\"10\">\n\
         <style>\n{}</style>\n\
         <defs><pattern id=\"p\" width=\"3\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
         <path class=\"chop\" d=\"M0 0H3M0 0V5\" fill=\"none\"/></pattern></defs>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n",
        rules(),
    );
    let place = Size::of(grid.place_bytes);
    let line = Size::of(grid.place_bytes * grid.columns);
    let title = escaped(&subject.title);
    let _ = writeln!(text, "<text x=\"10\" y=\"20\" font-size=\"14\">{title}</text>");
    let _ = writeln!(
        text,
        "<text class=\"faint\" x=\"10\" y=\"38\">a place is {place}, a row {line}</text>"
    );
    let mut next = None;
    for (number, row) in grid.rows.iter().enumerate() {
        let y = ORIGIN.1 + number * PLACE.1;
        let is_next = next.is_none_or(|next| next == row.start.0);
        if number % 4 == 0 || !is_next {
            let _ = writeln!(
                text,
                "<text class=\"faint\" x=\"10\" y=\"{}\">{}</text>",
                y + 9,
                row.start
            );
        }
        if !is_next {
            let (x, end) = (ORIGIN.0, ORIGIN.0 + columns * PLACE.0);
            let _ = writeln!(
                text,
                "<path d=\"M{x} {y}H{end}\" class=\"gap\" stroke-dasharray=\"2 3\"/>"
            );
        }
        write_row(row, y, grid.place_bytes, &mut text);
        next = Some(row.start.0.wrapping_add(grid.place_bytes * grid.columns));
    }
    write_legend(subject, &grid, height - 24, &mut text);
    text.push_str("</svg>\n");
    text
}

/// Neighbours that look the same are one rectangle.
fn write_row(row: &Row, y: usize, place_bytes: u64, text: &mut String) {
    let mut start = 0;
    for places in row.places.chunk_by(|one, other| one == other) {
        if let Some(Some(look)) = places.first() {
            let (x, width) = (ORIGIN.0 + start * PLACE.0, places.len() * PLACE.0);
            let from =
                row.start.0.wrapping_add(u64::try_from(start).unwrap_or_default() * place_bytes);
            let bytes = u64::try_from(places.len()).unwrap_or_default() * place_bytes;
            write_place(*look, (x, y, width), &format!("{} +{}", Hex(from), Size::of(bytes)), text);
        }
        start += places.len();
    }
}

fn write_place(look: Look, (x, y, width): (usize, usize, usize), what: &str, text: &mut String) {
    let (class, number) = (look.tint.class(), look.grain.number());
    let height = PLACE.1 - 1;
    let place = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
    let words = format!("{what}: {}, {}", grain_text(look.grain), look.tint.text());
    let _ = write!(text, "<rect class=\"{class}{number}\" {place}><title>{words}</title></rect>");
    if look.grain == Grain::Page {
        // Pages are chopped, blocks are solid.
        let _ = write!(text, "<rect {place} fill=\"url(#p)\" pointer-events=\"none\"/>");
    }
    text.push('\n');
}

const fn grain_text(grain: Grain) -> &'static str {
    match grain {
        Grain::Page => "single pages",
        Grain::PageRun => "runs of pages",
        Grain::Block => "blocks",
        Grain::BlockRun => "runs of blocks",
        Grain::Large => "large blocks",
    }
}

fn write_legend(subject: &Subject<'_>, grid: &Grid, y: usize, text: &mut String) {
    let looks = || grid.rows.iter().flat_map(|row| row.places.iter().flatten());
    let mut x = 10;
    let geometry = subject.survey.geometry;
    for grain in Grain::ALL.into_iter().filter(|grain| looks().any(|look| look.grain == *grain)) {
        write_place(Look { grain, tint: Tint::Data }, (x, y, 18), "legend", text);
        let size =
            grain.bytes(geometry).map(|bytes| Size::of(bytes).to_string()).unwrap_or_default();
        let words = format!("{} {size}", grain_text(grain));
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{words}</text>", x + 22, y + 9);
        x += 36 + 6 * words.len();
    }
    for tint in Tint::ALL.into_iter().filter(|tint| looks().any(|look| look.tint == *tint)) {
        write_place(Look { grain: Grain::Block, tint }, (x, y, 18), "legend", text);
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{}</text>", x + 22, y + 9, tint.text());
        x += 36 + 6 * tint.text().len();
    }
}

/// Text in which nothing is markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_circle() {
        assert_eq!(hexadecimal(0, 100, 50), "#ff0000");
        assert_eq!(hexadecimal(120, 100, 50), "#00ff00");
        assert_eq!(hexadecimal(240, 100, 50), "#0000ff");
        assert_eq!(hexadecimal(77, 0, 50), "#7f7f7f");
        assert_eq!(hexadecimal(210, 100, 100), "#ffffff");
    }

    #[test]
    fn titles_are_no_markup() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
