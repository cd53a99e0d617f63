//! A curve of an experiment's own: measurement as coloured dots, theory as grey lines.

mod axes;
mod drawing;
mod lines;
mod series;
mod theory;
mod words;

use crate::claim::plot::Plot;
use crate::claim::plot::curve::Curve;
use crate::report::draw::figure::{Drawing, Figure, MODULE};
use crate::report::draw::format::count;
use crate::report::figures::curve::axes::{x_axis, y_scale};
use crate::report::figures::curve::drawing::drawing;
use crate::report::figures::curve::lines::Lines;
use crate::report::figures::curve::series::{keep_drawable, measured};
use crate::report::figures::curve::words::{finding, keys, reading};
use crate::report::figures::selection::{Nothing, Selection, ids};
use crate::study::StudyRun;

/// Left, top, right, bottom edge of a plot; the left one moves where labels are long.
const EDGE: (f64, f64, f64, f64) = (46.0, 66.0, MODULE - 6.0, 266.0);

/// The figure, or why there is none.
pub(crate) fn figure(plot: &Plot, curve: &Curve, selection: Selection<'_>) -> Result<Figure, Nothing> {
    let mut notes = selection.notes.clone();
    let all = selection.runs();
    let recorded = |run: &&StudyRun| curve.columns().iter().any(|column| !run.columns(column).is_empty());
    if !all.iter().any(recorded) {
        return Err(Nothing::Unrecorded(curve.y.clone()));
    }
    let lines = Lines::of(curve, &selection, &mut notes);
    let mut series = measured(plot, curve, &selection, &lines, &mut notes);
    keep_drawable(&mut series, curve, plot.log, &mut notes);
    if series.iter().all(|series| !series.drawn) {
        return Err(Nothing::OffAxes(curve.y.clone(), curve.x.name().to_string()));
    }
    let shown = |run: &&StudyRun| series.iter().flat_map(|series| &series.runs).any(|known| known.id == run.id);
    let without: Vec<&StudyRun> = all.iter().copied().filter(|run| !shown(run)).collect();
    if !without.is_empty() {
        notes.push(format!("Without a point: {} ({}).", count(without.len(), "run"), ids(&without)));
    }
    if let Some(theory) = &curve.theory {
        series.iter_mut().for_each(|series| series.fit(curve, theory, plot));
    }
    let found = finding(plot, curve, &series);
    series.retain(|series| series.drawn);
    let (x, ticks) = x_axis(curve, &series, plot.log.x);
    let y = y_scale(plot, curve, &series, &x);
    let several = selection.panels.len() > 1;
    let drawings: Vec<Drawing> = selection
        .panels
        .iter()
        .enumerate()
        .map(|(panel, (title, _))| (title, series.iter().filter(|series| series.panel == panel).collect::<Vec<_>>()))
        .filter(|(_, inside)| !inside.is_empty())
        .map(|(title, inside)| {
            let title = if several || !title.is_empty() { title } else { &plot.title };
            drawing(plot, curve, title, &inside, (x, y), &ticks)
        })
        .collect();
    let measured = plot.caption.as_ref().map(|_| found.clone());
    Ok(Figure {
        id: plot.id.clone(),
        heading: plot.title.clone(),
        finding: plot.caption.clone().unwrap_or(found),
        reading: reading(curve, &series, measured, &notes),
        keys: keys(curve, &series),
        drawings,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::report::figures::plots;
    use crate::study::{Study, sample};

    fn draw(study: &Study, text: &str) -> Result<Figure, Nothing> {
        plots::figure(&sample::plot(text), study)
    }

    const DECAY: &str = "kind = \"curve\"\nx = \"lambda_t\"\ny = \"imbalance_ratio.layer0\"\nlog = \"y\"\n\
        lines = \"model.depth\"\nwhere = { arm = \"decay\" }\n";

    #[test]
    fn dots_lie_where_they_should_and_theory_runs_through_them() {
        let study = sample::study();
        let figure = draw(&study, &format!("{DECAY}theory = \"(1-lr*lambda)^(2*t)\"")).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        // x is 0 to 0.02 · 0.03 · 100 = 0.06 over 56..322 pixels. y ends at 0.9994^200 = 0.88689, less
        // than a decade, so that the axis is 0.44345 to 2 over 258..74: 0.88689 lies at
        // 258 - 184 · ln 2 / ln(2 / 0.44345) = 173.3 and 1 at 258 - 184 · ln(1 / 0.44345) / ... = 158.7.
        assert!(svg.contains("<circle cx=\"56\" cy=\"158.7\" r=\"3.6\" class=\"open s0\""), "{svg}");
        assert!(svg.contains("<circle cx=\"322\" cy=\"173.3\" r=\"3.6\" class=\"disc f0\""), "{svg}");
        // One grey line for both depths, through the same points.
        assert_eq!(svg.matches("ray mine").count(), 1);
        let line = svg.split("polyline points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(line.starts_with("56,158.7 ") && line.ends_with(" 322,173.3"), "{line}");
        assert!(
            figure.finding.contains("within 0 % of theory, (1−lr·λ)^(2·t), at all 8 points of 2 runs"),
            "{}",
            figure.finding
        );
        let keys: Vec<&str> = figure.keys.iter().map(|key| key.text.as_str()).collect();
        assert_eq!(keys, ["theory: (1−lr·λ)^(2·t)", "L = 2", "L = 3", "before training"]);
    }

    #[test]
    fn theory_that_differs_between_colours_is_named_and_a_factor_is_fitted() {
        let study = sample::study();
        let text = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.alpha.layer0\"\nlines = \"model.depth\"\n\
            where = { arm = \"decay\" }\ntheory = ";
        let figure = draw(&study, &format!("{text}\"1/L\"")).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        assert_eq!((svg.matches("\"ray mine\"").count(), svg.matches("raylabel").count()), (2, 2));
        assert!(figure.finding.contains("within 0 %"));
        // 2.5/L fits with c = 1/2.5; 0.6 · 1/L = 0.3 stays 40 % off.
        let figure = draw(&study, &format!("{text}\"2.5*c/L\"")).unwrap();
        assert!(figure.finding.contains("c = 0.400 (L = 2) and 0.400 (L = 3) fitted"), "{}", figure.finding);
        let figure = draw(&study, &format!("{text}\"0.6/L\"")).unwrap();
        assert!(figure.finding.contains("strays from theory, 0.6/L, by up to 67 %"), "{}", figure.finding);
    }

    #[test]
    fn t_stands_for_the_step_on_every_clock() {
        let study = sample::study();
        for x in ["step", "time", "lambda_t"] {
            let text = DECAY.replace("lambda_t", x) + "theory = \"(1-lr*lambda)^(2*t)\"";
            assert!(draw(&study, &text).unwrap().finding.contains("within 0 %"), "{x}");
        }
    }

    #[test]
    fn keys_are_axes_and_seeds_have_means() {
        let mut study = sample::study();
        study.runs.clear();
        for (depth, seed) in [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0)] {
            let mut run = sample::run("a", depth);
            run.keys.push(("seed".into(), seed.to_string()));
            run.id = format!("{depth}-{seed}");
            study.runs.push(run);
        }
        let text = "kind = \"curve\"\nx = \"model.depth\"\ny = \"nfa.alpha.layer0\"\ntheory = \"1/x\"";
        let figure = draw(&study, text).unwrap();
        let svg = figure.drawings[0].body.clone().into_string();
        // Depth 3 is half way between 2 and 4.
        assert!(svg.contains("cx=\"189\"") && svg.contains(">3</text>") && !svg.contains(">2.5</text>"), "{svg}");
        assert_eq!((svg.matches("seed f0").count(), svg.matches("disc f0").count()), (4, 3));
        assert!(figure.finding.contains("within 0 % of theory, 1/x, at all 3 points of 5 runs"), "{}", figure.finding);
        assert!(figure.keys.iter().any(|key| key.text == "a seed; large: the mean of 2"));
        // The same by the variable that stands for the key.
        assert!(draw(&study, &text.replace("1/x", "1/L")).unwrap().finding.contains("within 0 %"));
    }

    #[test]
    fn what_is_said_of_theory_is_true_of_every_seed_and_not_of_their_mean() {
        let mut study = sample::study();
        study.runs.clear();
        for (seed, alpha) in [(0, 0.3), (1, 0.7)] {
            let mut run = sample::run("a", 2);
            run.keys.push(("seed".into(), seed.to_string()));
            run.id = format!("2-{seed}");
            run.record = Record::from_csv(&format!("step,nfa.alpha.layer0\n100,{alpha}\n")).unwrap();
            study.runs.push(run);
        }
        let text = "kind = \"curve\"\nx = \"model.depth\"\ny = \"nfa.alpha.layer0\"\ntheory = \"1/L\"";
        let figure = draw(&study, text).unwrap();
        assert!(figure.finding.contains("in the mean over seeds, single ones up to 40 % off"), "{}", figure.finding);
    }

    #[test]
    fn many_values_are_spread_over_five_colours_and_the_rule_is_stated() {
        let mut study = sample::study();
        study.runs = (0..40)
            .map(|i| {
                let mut run = sample::run("a", 2);
                run.id = format!("run-{i}");
                run.keys.push(("seed".into(), (i / 8).to_string()));
                run.config["solver"].as_table_mut().unwrap().insert("lr".into(), (0.01 * f64::from(i % 8 + 1)).into());
                run
            })
            .collect();
        let text = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.alpha.layer0\"\nlog = \"x\"\nlines = \"solver.lr\"";
        let figure = draw(&study, text).unwrap();
        assert_eq!(figure.keys.iter().filter(|key| key.text.starts_with("lr = ")).count(), 5);
        assert!(figure.keys[5].text.contains("the mean of 5"));
        assert!(figure.reading.contains("Drawn: 5 of 8 values of learning rate η"), "{}", figure.reading);
        assert!(figure.reading.contains("Step 0 is left off"), "{}", figure.reading);
    }

    #[test]
    fn layers_are_lines_and_other_columns_are_axes() {
        let study = sample::study();
        let layers = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.alpha.layer*\"\ntheory = \"1/(L-l+1)\"\npanels = \"model.depth\"";
        let figure = draw(&study, layers).unwrap();
        let titles: Vec<&str> =
            figure.drawings.iter().map(|drawing| drawing.title.rsplit(": ").next().unwrap()).collect();
        assert_eq!(titles, ["L = 2", "L = 3"]);
        assert!(figure.finding.contains("within 0 %"), "{}", figure.finding);
        let columns = "kind = \"curve\"\nx = \"loss.test\"\ny = \"imbalance_ratio.layer0\"\nlog = \"x\"";
        assert!(draw(&study, columns).unwrap().finding.contains("0.89 to 1.0 in 4 runs"));
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let mut study = sample::study();
        let why = |study: &Study, text: &str| draw(study, text).map(|_| ()).unwrap_err().to_string();
        assert_eq!(why(&study, &DECAY.replace("\"decay\"", "\"other\"")), "No run fits its `where`.");
        let alpha = "kind = \"curve\"\nx = \"step\"\ny = \"nfa.kappa.layer0\"";
        assert!(why(&study, alpha).contains("No run recorded nfa.kappa.layer0"));
        for run in &mut study.runs {
            run.outcome = "diverged".into();
        }
        assert_eq!(why(&study, DECAY), "None of its 2 runs has completed.");
        study.runs.clear();
        assert_eq!(why(&study, DECAY), "No run yet.");
    }

    #[test]
    fn exponents_come_from_the_columns() {
        let mut run = sample::run("a", 2);
        let columns =
            ["step", "nfa.cosine.layer0", "nfa.cosine@0.5.layer0", "nfa.cosine@1.layer0", "nfa.cosine@1.layer1"];
        run.record = crate::record::Record::new(columns.map(String::from).to_vec());
        run.record.push([100.0, 0.9, 0.9, 0.8, 1.0].map(crate::record::Cell::number).to_vec());
        let mut study = sample::study();
        study.runs = vec![run];
        let figure = draw(&study, "kind = \"curve\"\nx = \"alpha\"\ny = \"nfa.cosine.layer0\"").unwrap();
        assert!(figure.finding.contains("largest at α = 0.500, among 2 exponents"), "{}", figure.finding);
    }
}
