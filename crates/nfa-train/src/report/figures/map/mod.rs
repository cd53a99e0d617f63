//! A map of an experiment's own: a measurement over two keys as coloured cells, theory's borders as
//! grey lines.

mod border;
mod cell;
mod drawing;
mod ramp;
mod ruler;
mod words;

use nfa_metrics::laws::law::Law;

use crate::claim::plot::Plot;
use crate::claim::plot::map::Map;
use crate::report::draw::figure::{Drawing, Figure};
use crate::report::figures::map::cell::{Value, cells};
use crate::report::figures::map::drawing::Scene;
use crate::report::figures::map::ramp::Ramp;
use crate::report::figures::map::ruler::Ruler;
use crate::report::figures::map::words::{finding, keys};
use crate::report::figures::selection::{Nothing, Selection};

/// The figure, or why there is none.
pub(crate) fn figure(plot: &Plot, map: &Map, selection: Selection<'_>, law: Option<&Law>) -> Result<Figure, Nothing> {
    let mut notes = selection.notes.clone();
    let verdict = || law.map(|law| format!("{}.verdict.layer0", law.name)).ok_or(Nothing::NoLaw);
    let column = map.value.clone().map_or_else(verdict, Ok)?;
    let cells = cells(plot, map, &column, &selection, &mut notes);
    if cells.iter().all(|cell| cell.value == Value::None) {
        return Err(Nothing::NoCells(column, map.x.clone(), map.y.clone()));
    }
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| cell.value.number()).collect();
    let ramp = (!numbers.is_empty()).then(|| Ramp::of(&column, &numbers, plot.log.value));
    let (xs, ys) = (Ruler::of(cells.iter().map(|c| c.x), plot.log.x), Ruler::of(cells.iter().map(|c| c.y), plot.log.y));
    let scene = Scene { plot, map, column: &column, ramp: ramp.as_ref(), xs: &xs, ys: &ys };
    let several = selection.panels.len() > 1;
    let drawings: Vec<Drawing> = selection
        .panels
        .iter()
        .enumerate()
        .filter(|(panel, _)| selection.drawn.contains(panel))
        .map(|(panel, (title, _))| (title, cells.iter().filter(|cell| cell.panel == panel).collect::<Vec<_>>()))
        .filter(|(_, inside)| !inside.is_empty())
        .map(|(title, inside)| scene.drawing(if several || !title.is_empty() { title } else { &plot.title }, &inside))
        .collect();
    let found = finding(plot, map, &column, &cells);
    let mut reading = plot.caption.as_ref().map(|_| format!("Measured: {found} ")).unwrap_or_default();
    reading.push_str("How to read it: a cell is a setting, its colour what was measured there");
    reading.push_str(if map.boundary.is_some() { "; grey lines are where theory sees a border." } else { "." });
    if cells.iter().any(|cell| cell.runs.len() > 1) {
        reading.push_str(if numbers.is_empty() {
            " Of several seeds it shows the most frequent verdict."
        } else {
            " Of several seeds it shows the mean."
        });
    }
    notes.iter().for_each(|note| reading.push_str(&format!(" {note}")));
    Ok(Figure {
        id: plot.id.clone(),
        heading: plot.title.clone(),
        finding: plot.caption.clone().unwrap_or(found),
        reading,
        keys: keys(map, &cells),
        drawings,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::record::{Cell as Number, Record};
    use crate::report::figures::plots;
    use crate::study::{Study, sample};

    /// Order part 0.5 where x is below y, else 0; two seeds each.
    fn study() -> Study {
        let mut study = sample::study();
        study.runs.clear();
        for (share, ratio, seed) in [0.25, 0.75].iter().flat_map(|s| [1, 4].map(|r| [(*s, r, 0), (*s, r, 1)])).flatten()
        {
            let mut run = sample::run("a", 2);
            run.id = format!("{share}-{ratio}-{seed}");
            let settings =
                [("data.share", share.to_string()), ("data.ratio", ratio.to_string()), ("seed", seed.to_string())];
            run.keys = settings.map(|(key, value)| (key.to_string(), value)).to_vec();
            let data = format!("share = {share}\nratio = {ratio}");
            run.config.insert("data".into(), toml::Value::Table(data.parse().unwrap()));
            let columns =
                ["step", "nfa.misfit.layer0", "nfa.parts.order.layer0", "nfa.verdict.layer0"].map(String::from);
            run.record = Record::new(columns.to_vec());
            let reversed = share > 0.5 && ratio == 1;
            let word = if reversed && seed == 1 { "fails" } else { "holds" };
            let order = if reversed { 0.4 + 0.2 * f64::from(seed) } else { 0.0 };
            let [step, order] = [100.0, order].map(Number::number);
            run.record.push(vec![step, order.clone(), order, Number::Text(word.into())]);
            study.runs.push(run);
        }
        study
    }

    const MAP: &str = "kind = \"map\"\nx = \"data.share\"\ny = \"data.ratio\"\nlog = \"y\"\n";

    #[test]
    fn cells_lie_where_they_should() {
        let text = format!("{MAP}value = \"nfa.parts.order.layer0\"\nboundary = [2]");
        let figure = plots::figure(&sample::plot(&text), &study()).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        // Shares 0.25 and 0.75 share 0..1 over 46..334, ratios 1 and 4 share 0.5..8 over 286..66.
        assert!(svg.contains("<rect x=\"46.5\" y=\"176.5\" width=\"143\" height=\"109\" class=\"warm0\">"), "{svg}");
        // 0.5, the mean of 0.4 and 0.6, in the last of ten steps of 0.1 from 0: deepest, with its number.
        assert!(svg.contains("<rect x=\"190.5\" y=\"176.5\" width=\"143\" height=\"109\" class=\"warm8\">"), "{svg}");
        assert!(svg.contains("<text x=\"262\" y=\"234.4\" class=\"value light\">0.50</text>"), "{svg}");
        // A border at ratio 2 is half way up.
        assert!(svg.contains("points=\"46,176 ") && svg.contains(" 334,176\" class=\"border\""), "{svg}");
        assert!(svg.contains("share = 0.75, ratio = 1: 0.500"), "{svg}");
        let found = "0 to 0.50 in 2 cells below theory\u{2019}s line; 0 in 2 cells above it";
        assert!(figure.finding.contains(found), "{}", figure.finding);
    }

    #[test]
    fn verdicts_have_shapes_and_seeds_may_disagree() {
        let text = format!("{MAP}value = \"verdict\"\nboundary = \"(x-0.5)*(y-2)\"");
        let figure = plots::figure(&sample::plot(&text), &study()).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        assert_eq!((svg.matches("class=\"holds\"").count(), svg.matches("class=\"hollow\"").count()), (3, 1));
        let keys: Vec<&str> = figure.keys.iter().map(|key| key.text.as_str()).collect();
        assert_eq!(keys, ["theory: (x−0.5)·(y−2) = 0", "holds", "seeds disagree"]);
        assert!(figure.finding.contains("holds in 2 of 2 cells where (x−0.5)·(y−2) < 0"), "{}", figure.finding);
    }

    #[test]
    fn other_settings_are_left_out_and_told() {
        let mut study = study();
        for (i, run) in study.runs.iter_mut().enumerate().filter(|(i, _)| i % 2 == 1) {
            run.keys[2] = ("solver.lr".into(), i.to_string());
        }
        let text = format!("{MAP}value = \"nfa.parts.order.layer0\"");
        let figure = plots::figure(&sample::plot(&text), &study).unwrap();
        assert!(figure.reading.contains("Left out: 4 runs that differ in"), "{}", figure.reading);
        assert!(figure.finding.contains("0 to 0.40 in 4 cells"), "{}", figure.finding);
    }
}
