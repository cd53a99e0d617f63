//! What a map says of itself.

use maud::html;

use crate::claim::plot::Plot;
use crate::claim::plot::map::{Boundary, Map};
use crate::report::draw::figure::Key;
use crate::report::draw::format::{clip, count, list};
use crate::report::draw::svg::Shape;
use crate::report::figures::map::border::side;
use crate::report::figures::map::cell::{Cell, Value};
use crate::report::figures::map::drawing::VERDICTS;
use crate::report::figures::selection::{axis_name, pretty, span, when};
use crate::study::tally;

/// What it shows, with numbers: what was measured on both sides of theory's border.
pub(super) fn finding(plot: &Plot, map: &Map, column: &str, cells: &[Cell<'_>]) -> String {
    let what = format!("{column}{}", when(plot.at));
    let all: Vec<&Cell<'_>> = cells.iter().collect();
    let names = match &map.boundary {
        Some(Boundary::Zero(formula)) => {
            let formula = pretty(formula);
            Some([format!("where {formula} < 0"), "where it is above 0".to_string()])
        }
        Some(Boundary::Lines(formulas)) => match formulas.len() {
            1 => Some(["below theory\u{2019}s line".to_string(), "above it".to_string()]),
            2 => Some(["between theory\u{2019}s lines".to_string(), "outside them".to_string()]),
            _ => None,
        },
        None => None,
    };
    let split = cells.iter().filter(|cell| matches!(cell.value, Value::Word(_, false))).count();
    let split = match split {
        0 => String::new(),
        n => format!("; seeds disagree in {n} of {}", count(cells.len(), "cell")),
    };
    let Some([inside, outside]) = names else {
        return format!("{what}: {}{split}.", tell(&all));
    };
    let of = |wanted: Option<bool>| -> Vec<&Cell<'_>> {
        cells.iter().filter(|cell| side(plot, map, cell) == wanted).collect()
    };
    let (ins, outs, on) = (of(Some(true)), of(Some(false)), of(None));
    let part = |cells: &[&Cell<'_>], name: &str| (!cells.is_empty()).then(|| format!("{} {name}", tell(cells)));
    let mut parts: Vec<String> = [part(&ins, &inside), part(&outs, &outside)].into_iter().flatten().collect();
    if !on.is_empty() {
        parts.push(format!("{} on the border itself", tell(&on)));
    }
    format!("{what}: {}{split}.", parts.join("; "))
}

/// Numbers or verdicts of some cells: `0.1 to 0.3 in 12 cells`, `fails in 9, holds in 3 of 12 cells`.
fn tell(cells: &[&Cell<'_>]) -> String {
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| cell.value.number()).collect();
    if !numbers.is_empty() {
        return format!("{} in {}", span(&numbers), count(numbers.len(), "cell"));
    }
    let words = tally(cells.iter().filter_map(|cell| cell.value.word()));
    let each: Vec<String> = words.iter().map(|(word, n)| format!("{word} in {n}")).collect();
    if each.is_empty() {
        return format!("nothing in {}", count(cells.len(), "cell"));
    }
    format!("{} of {}", list(&each, 9), count(words.iter().map(|(_, n)| n).sum(), "cell"))
}

/// What the marks mean.
pub(super) fn keys(map: &Map, cells: &[Cell<'_>]) -> Vec<Key> {
    let mut keys = Vec::new();
    if let Some(boundary) = &map.boundary {
        let formulas: Vec<String> = boundary.formulas().iter().map(pretty).collect();
        let text = match boundary {
            Boundary::Zero(_) => format!("theory: {} = 0", clip(&formulas.concat(), 52)),
            Boundary::Lines(_) => {
                format!("theory: {} = {}", axis_name(cells[0].runs[0], &map.y), clip(&formulas.join(" and "), 46))
            }
        };
        keys.push(Key { mark: html! { line x1="-7" y1="0" x2="7" y2="0" class="border" {} }, text });
    }
    for (word, shape) in VERDICTS {
        if cells.iter().any(|cell| cell.value.word() == Some(word)) {
            keys.push(Key::shape(shape, word, word));
        }
    }
    if cells.iter().any(|cell| matches!(cell.value, Value::Word(_, false))) {
        keys.push(Key::shape(Shape::Circle, "hollow", "seeds disagree"));
    }
    if cells.iter().any(|cell| cell.value == Value::None) {
        keys.push(Key::shape(Shape::Square, "none", "no value"));
    }
    keys
}
