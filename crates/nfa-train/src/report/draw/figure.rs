//! A figure: drawings side by side on one module, a finding, and how to read it.

use crate::report::draw::style;
use crate::report::draw::svg::{Shape, label};
use maud::{Markup, PreEscaped, html};

/// Width of one drawing in pixels: three stand side by side on a page, one fills a phone.
pub(crate) const MODULE: f64 = 340.0;

/// One drawing of a figure.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    /// Height in pixels.
    pub(crate) height: f64,
    /// What it is, for those who can't see it.
    pub(crate) title: String,
    /// What it shows, with numbers.
    pub(crate) desc: String,
    /// Its elements, in a coordinate system of [`MODULE`] by `height`.
    pub(crate) body: Markup,
}

/// What a mark of a figure means.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The mark, drawn around (0, 0) within 6 pixels.
    pub(crate) mark: Markup,
    /// Its meaning.
    pub(crate) text: String,
}

impl Key {
    /// A key whose mark is a shape of a class.
    pub(crate) fn shape(shape: Shape, class: &str, text: impl Into<String>) -> Self {
        Key { mark: shape.draw((0.0, 0.0), 4.5, class), text: text.into() }
    }
}

impl Key {
    /// Its width in pixels, with the gap after it.
    fn length(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let text = self.text.chars().count() as f64;
        34.0 + 6.4 * text
    }
}

/// A figure of the page, also written as a file of its own.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name in links and files.
    pub(crate) id: String,
    /// What it is, in a few words.
    pub(crate) heading: String,
    /// What it found, in a sentence with numbers from the data.
    pub(crate) finding: String,
    /// How it is read.
    pub(crate) reading: String,
    /// Its marks.
    pub(crate) keys: Vec<Key>,
    /// Its drawings, in reading order.
    pub(crate) drawings: Vec<Drawing>,
}

impl Figure {
    /// How many drawings stand side by side on a wide page.
    fn columns(&self) -> usize {
        match self.drawings.len() {
            0 | 1 => 1,
            2 | 4 => 2,
            _ => 3,
        }
    }

    /// The figure on the page: finding, marks, drawings, reading.
    pub(crate) fn html(&self) -> Markup {
        html! {
            figure id=(self.id) {
                figcaption {
                    p.finding { (self.finding) }
                }
                @if !self.keys.is_empty() {
                    ul.keys {
                        @for key in &self.keys {
                            li {
                                svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" { (key.mark) }
                                (key.text)
                            }
                        }
                    }
                }
                div class={"panels c" (self.columns())} {
                    @for drawing in &self.drawings { (drawing.inline()) }
                }
                @if !self.reading.is_empty() { p.reading { (self.reading) } }
            }
        }
    }

    /// The figure as an SVG file of its own: well-formed XML with its style inside.
    pub(crate) fn standalone(&self) -> String {
        const GAP: f64 = 28.0;
        const TOP: f64 = 42.0;
        let columns = self.columns();
        let rows: Vec<&[Drawing]> = self.drawings.chunks(columns).collect();
        let height_of = |row: &[Drawing]| row.iter().map(|drawing| drawing.height).fold(0.0, f64::max);
        #[allow(clippy::cast_precision_loss)]
        let step = |i: usize| i as f64 * (MODULE + GAP);
        let longest = self.keys.iter().map(|key| key.length() - 22.0).fold(0.0, f64::max);
        let width = (step(columns) + GAP).max(longest + 2.0 * GAP);
        let keys = self.key_rows(width - 2.0 * GAP);
        #[allow(clippy::cast_precision_loss)]
        let top = TOP + keys.len() as f64 * 20.0;
        let height = top + rows.iter().map(|row| height_of(row) + GAP).sum::<f64>();
        let mut y = top;
        let placed = rows.iter().map(|row| {
            let at = y;
            y += height_of(row) + GAP;
            (at, row)
        });
        let svg = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox={"0 0 " (width) " " (height)}
                width=(width) height=(height) role="img" aria-labelledby="title desc" {
                title id="title" { (self.finding) }
                desc id="desc" { (self.reading) }
                style { (PreEscaped(style::standalone())) }
                rect width="100%" height="100%" class="paper" {}
                @for (row, keys) in keys.iter().enumerate() {
                    @for (x, key) in keys {
                        g transform={"translate(" (GAP + x + 8.0) " " (row * 20 + 26) ")"} {
                            (key.mark)
                            (label((12.0, 4.0), "key", &key.text))
                        }
                    }
                }
                @for (y, row) in placed {
                    @for (i, drawing) in row.iter().enumerate() {
                        g transform={"translate(" (GAP + step(i)) " " (y) ")"} { (drawing.body) }
                    }
                }
            }
        };
        svg.into_string().chars().filter(|c| in_xml(*c)).collect()
    }

    /// The keys with their x offsets, broken into rows of at most `width` pixels.
    fn key_rows(&self, width: f64) -> Vec<Vec<(f64, &Key)>> {
        let mut rows: Vec<Vec<(f64, &Key)>> = Vec::new();
        let mut x = f64::INFINITY;
        for key in &self.keys {
            let length = key.length();
            if x + length > width {
                rows.push(Vec::new());
                x = 0.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, key));
            }
            x += length;
        }
        rows
    }
}

impl Drawing {
    /// The drawing as an element of the page.
    fn inline(&self) -> Markup {
        html! {
            svg viewBox={"0 0 " (MODULE) " " (self.height)} role="img" {
                title { (self.title) }
                desc { (self.desc) }
                (self.body)
            }
        }
    }
}

/// Whether XML 1.0 can hold a character.
fn in_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_break_into_rows() {
        let key = |text: &str| Key::shape(Shape::Circle, "h0", text);
        let figure = Figure {
            id: String::new(),
            heading: String::new(),
            finding: String::new(),
            reading: String::new(),
            keys: vec![key("aaaaaaaaaa"), key("bbbbbbbbbb"), key("c")],
            drawings: Vec::new(),
        };
        let rows = figure.key_rows(200.0);
        assert_eq!(rows.len(), 2);
        assert!((rows[0][1].0 - 98.0).abs() < 1e-9);
    }

    #[test]
    fn control_characters_do_not_reach_a_file() {
        let figure = Figure {
            id: "x".into(),
            heading: String::new(),
            finding: "a\u{1}b & <c>".into(),
            reading: String::new(),
            keys: Vec::new(),
            drawings: Vec::new(),
        };
        assert!(figure.standalone().contains("ab &amp; &lt;c&gt;"));
    }
}
