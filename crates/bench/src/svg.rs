//! Plots as SVG text: readable on light and on dark pages.

use std::fmt::Write;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steps {
    /// Equal differences are equally far apart.
    Linear,
    /// Equal ratios are.
    Logarithmic,
}

/// An axis: the values at its two ends, and where these are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// How values become places.
    pub steps: Steps,
    /// The lowest and the highest value.
    pub values: (f64, f64),
    /// Where they are, in pixels.
    pub places: (f64, f64),
}

impl Axis {
    /// Where `value` is; what lies outside is at the end.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| match self.steps {
            Steps::Linear => value,
            Steps::Logarithmic => value.ln(),
        };
        let (low, high) = self.values;
        let part = (scaled(value.clamp(low, high)) - scaled(low)) / (scaled(high) - scaled(low));
        self.places.0 + part * (self.places.1 - self.places.0)
    }
}

/// Where text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

impl Anchor {
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// The colours: of the page, which the drawing brings along, of text, of what is faint, and of up to four things that are compared.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}
.page{fill:#ffffff}
.title{font-size:16px;font-weight:600}.faint{fill:#59636e}
.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#59636e;stroke-width:1}
.line{fill:none;stroke-width:2.5}
.a{stroke:#0969da}.b{stroke:#bc4c00}.c{stroke:#1a7f37}.d{stroke:#8250df}
.fa{fill:#0969da}.fb{fill:#bc4c00}.fc{fill:#1a7f37}.fd{fill:#8250df}
@media(prefers-color-scheme:dark){
.page{fill:#0d1117}text{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#30363d}.axis{stroke:#9198a1}
.a{stroke:#58a6ff}.b{stroke:#f0883e}.c{stroke:#3fb950}.d{stroke:#a371f7}
.fa{fill:#58a6ff}.fb{fill:#f0883e}.fc{fill:#3fb950}.fd{fill:#a371f7}}
";

/// A drawing.
#[derive(Clone, Debug)]
pub struct Drawing {
    size: (u32, u32),
    title: String,
    body: String,
}

impl Drawing {
    /// An empty drawing with its title at the top, and a line below that says what is shown.
    #[must_use]
    pub fn new(size: (u32, u32), title: &str, subtitle: &str) -> Self {
        let mut drawing = Self { size, title: title.to_owned(), body: String::new() };
        drawing.bar("page", (0.0, 0.0), (f64::from(size.0), f64::from(size.1)));
        drawing.text((16.0, 26.0), Anchor::Start, ("title", title));
        drawing.text((16.0, 46.0), Anchor::Start, ("faint", subtitle));
        drawing
    }

    /// Adds text, of a class of the style.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, (class, text): (&str, &str)) {
        let text = escaped(text);
        self.add(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{}\" class=\"{class}\">{text}</text>",
            anchor.word()
        ));
    }

    /// Adds a line through points.
    pub fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.add(&format!("<polyline class=\"{class}\" fill=\"none\" points=\"{points}\"/>"));
    }

    /// Adds a dot.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64)) {
        self.add(&format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"));
    }

    /// Adds a bar from one corner to the opposite one.
    pub fn bar(&mut self, class: &str, (x, y): (f64, f64), (right, bottom): (f64, f64)) {
        let (width, height) = ((right - x).max(1.0), bottom - y);
        self.add(&format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>"
        ));
    }

    fn add(&mut self, element: &str) {
        self.body += element;
        self.body.push('\n');
    }

    /// The file's text.
    #[must_use]
    pub fn finish(&self) -> String {
        let (width, height) = self.size;
        let mut text = String::new();
        // Writing into a string does not fail.
        let written = write!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
             <style>\n{STYLE}</style>\n{}</svg>\n",
            escaped(&self.title),
            self.body
        );
        debug_assert!(written.is_ok());
        text
    }
}

/// Text without what XML takes for something else.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_places_values_by_difference_or_by_ratio() {
        let axis = |steps| Axis { steps, values: (1.0, 100.0), places: (0.0, 200.0) };
        assert!((axis(Steps::Logarithmic).place(10.0) - 100.0).abs() < 1e-9);
        assert!((axis(Steps::Linear).place(50.5) - 100.0).abs() < 1e-9);
        assert!((axis(Steps::Linear).place(1000.0) - 200.0).abs() < 1e-9, "outside");
    }

    #[test]
    fn text_of_a_drawing_is_text() {
        let mut drawing = Drawing::new((10, 20), "a < b", "");
        drawing.line("a", &[(0.0, 1.0), (2.0, 3.0)]);
        let text = drawing.finish();
        assert!(
            text.contains("<title>a &lt; b</title>") && text.contains("points=\"0.0,1.0 2.0,3.0\"")
        );
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    }
}
