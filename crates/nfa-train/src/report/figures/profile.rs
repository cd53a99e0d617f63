//! A data profile: which share of the runs is done, against what they took.

use maud::html;

use crate::claim::plot::Plot;
use crate::claim::plot::profile::Profile;
use crate::report::draw::figure::{Drawing, Figure, Key, MODULE};
use crate::report::draw::format::{count, sig};
use crate::report::draw::svg::{Frame, Scale, Shape, label, polyline};
use crate::report::figures::selection::{Nothing, Selection, ends, not_drawn, setting, values};
use crate::report::figures::view::{HUES, named};
use crate::study::StudyRun;

/// Left, top, right, bottom edge of a panel.
const EDGE: (f64, f64, f64, f64) = (46.0, 66.0, MODULE - 6.0, 266.0);

/// The runs of one colour.
struct Line<'a> {
    label: String,
    runs: Vec<&'a StudyRun>,
}

/// What a run took until it was done; `None` where it never was.
fn taken(run: &StudyRun, profile: &Profile, tau: f64) -> Option<f64> {
    let rows = 0..run.record.len().cast_signed();
    let done = |row: &isize| run.record.number(*row, &profile.y).is_some_and(|left| left <= tau);
    run.record.number(rows.into_iter().find(done)?, &profile.x)
}

/// The figure, or why there is none.
pub(crate) fn figure(plot: &Plot, profile: &Profile, selection: Selection<'_>) -> Result<Figure, Nothing> {
    let mut notes = selection.notes.clone();
    let runs = selection.runs();
    if runs.iter().all(|run| run.record.series(&profile.y).is_empty()) {
        return Err(Nothing::Unrecorded(profile.y.clone()));
    }
    let lines: Vec<Line<'_>> = match &profile.lines {
        None => vec![Line { label: String::new(), runs: runs.clone() }],
        Some(key) => {
            let line = |value: &String| {
                let runs: Vec<&StudyRun> = runs.iter().copied().filter(|run| setting(run, key) == *value).collect();
                Line { label: named(runs[0], key, value), runs }
            };
            values(&runs, key).iter().map(line).collect()
        }
    };
    if lines.len() > HUES {
        let left: Vec<&str> = lines[HUES..].iter().map(|line| line.label.as_str()).collect();
        notes.push(not_drawn(&format!("{HUES} of {} lines", lines.len()), &left));
    }
    let all = |tau: f64| runs.iter().filter_map(move |run| taken(run, profile, tau));
    let Some((lo, hi)) = ends(profile.tau.iter().flat_map(|tau| all(*tau)).filter(|x| *x > 0.0)) else {
        return Err(Nothing::OffAxes(profile.y.clone(), profile.x.clone()));
    };
    let scale = Scale::log(lo / 1.3, hi * 1.3, (EDGE.0 + 6.0, EDGE.2 - 10.0));
    let share = Scale::linear(0.0, 1.0, (EDGE.3 - 4.0, EDGE.1 + 8.0));
    let frame = Frame { x: scale, y: share, edge: EDGE };
    let drawings = profile.tau.iter().map(|tau| panel(plot, profile, &lines, *tau, &frame)).collect();
    let found = finding(profile, &lines);
    let mut reading = plot.caption.as_ref().map(|_| format!("Measured: {found} ")).unwrap_or_default();
    reading.push_str(&format!(
        "How to read it: at each {} on the x axis, the share of runs whose {} has come down to the panel's number by then; \
         a line that ends below 1 has runs that never did.",
        profile.x, profile.y
    ));
    notes.iter().for_each(|note| reading.push_str(&format!(" {note}")));
    let keys = lines.iter().take(HUES).enumerate().filter(|(_, line)| !line.label.is_empty());
    Ok(Figure {
        id: plot.id.clone(),
        heading: plot.title.clone(),
        finding: plot.caption.clone().unwrap_or(found),
        reading,
        keys: keys.map(|(hue, line)| Key::shape(Shape::nth(hue), &format!("disc f{hue}"), &line.label)).collect(),
        drawings,
    })
}

/// One panel: a staircase for each line, with a mark at its end.
fn panel(plot: &Plot, profile: &Profile, lines: &[Line<'_>], tau: f64, frame: &Frame) -> Drawing {
    let stairs = |line: &Line<'_>| -> Vec<(f64, f64)> {
        let mut xs: Vec<f64> = line.runs.iter().filter_map(|run| taken(run, profile, tau)).collect();
        xs.sort_by(f64::total_cmp);
        let mut points = vec![(frame.x.domain.0, 0.0)];
        for (done, x) in xs.into_iter().enumerate() {
            let (before, after) = (done as f64 / line.runs.len() as f64, (done + 1) as f64 / line.runs.len() as f64);
            let x = x.max(frame.x.domain.0);
            points.extend([(x, before), (x, after)]);
        }
        let last = points.last().map_or(0.0, |point| point.1);
        points.push((frame.x.domain.1, last));
        points.into_iter().map(|(x, y)| (frame.x.at(x), frame.y.at(y))).collect()
    };
    let drawn: Vec<(usize, Vec<(f64, f64)>)> = lines.iter().take(HUES).map(stairs).enumerate().collect();
    let title = format!("{} ≤ {}", in_words(&profile.y), sig(tau, 1));
    let told: Vec<String> = lines.iter().map(|line| told(profile, line, tau)).collect();
    let body = html! {
        (label((0.0, 18.0), "head", &title))
        (label((0.0, 36.0), "sub", &format!("{} of {} done", done(profile, lines, tau), lines.iter().map(|line| line.runs.len()).sum::<usize>())))
        (frame.draw(&in_words(&profile.x), "share of runs"))
        @for (hue, points) in &drawn { (polyline(points, &format!("stair s{hue}"))) }
        @for (hue, points) in &drawn {
            @if let Some(end) = points.last() { (Shape::nth(*hue).draw(*end, 4.0, &format!("disc f{hue}"))) }
        }
    };
    Drawing { height: EDGE.3 + 42.0, title: format!("{}: {title}", plot.title), desc: told.join("; "), body }
}

/// A column on an axis.
fn in_words(column: &str) -> String {
    match column {
        "work" => "work in gradients".into(),
        "iteration.hessians" => "full Hessians seen".into(),
        "gap" => "(f − f*)/(f₀ − f*)".into(),
        other => other.into(),
    }
}

/// Runs of all lines that are done.
fn done(profile: &Profile, lines: &[Line<'_>], tau: f64) -> usize {
    lines.iter().flat_map(|line| &line.runs).filter(|run| taken(run, profile, tau).is_some()).count()
}

/// A line in words.
fn told(profile: &Profile, line: &Line<'_>, tau: f64) -> String {
    let mut xs: Vec<f64> = line.runs.iter().filter_map(|run| taken(run, profile, tau)).collect();
    xs.sort_by(f64::total_cmp);
    let name = if line.label.is_empty() { "all" } else { &line.label };
    match xs.get(xs.len().saturating_sub(1) / 2) {
        Some(median) => {
            format!("{name} {} of {}, half of them by {} = {}", xs.len(), line.runs.len(), profile.x, sig(*median, 2))
        }
        None => format!("{name} none of {}", line.runs.len()),
    }
}

/// What is found, at the strictest number.
fn finding(profile: &Profile, lines: &[Line<'_>]) -> String {
    let tau = profile.tau.iter().copied().fold(f64::INFINITY, f64::min);
    let runs: usize = lines.iter().map(|line| line.runs.len()).sum();
    let each: Vec<String> = lines.iter().map(|line| told(profile, line, tau)).collect();
    format!("Down to {} ≤ {} in {}: {}.", profile.y, sig(tau, 1), count(runs, "run"), each.join("; "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::record::Record;
    use crate::report::figures::plots;
    use crate::study::sample;

    #[test]
    fn stairs_rise_where_runs_are_done() {
        let mut study = sample::study();
        study.runs.clear();
        for (arm, work) in [("a", [10, 20]), ("b", [40, 1000])] {
            for (seed, work) in work.into_iter().enumerate() {
                let mut run = sample::run(arm, 2);
                run.id = format!("{arm}{seed}");
                run.keys.push(("seed".into(), seed.to_string()));
                // The last never gets to 1e-3.
                let end = if work == 1000 { 0.05 } else { 1e-4 };
                let text = format!("step,gap,work\n0,1,0\n1,0.09,{}\n2,{end},{work}\n", work / 2);
                run.record = Record::from_csv(&text).unwrap();
                study.runs.push(run);
            }
        }
        let text = "kind = \"profile\"\nx = \"work\"\ny = \"gap\"\ntau = [1e-1, 1e-3]\nlines = \"arm\"";
        let figure = plots::figure(&sample::plot(text), &study).unwrap();
        assert_eq!(
            figure.finding,
            "Down to gap ≤ 0.001 in 4 runs: a 2 of 2, half of them by work = 10; b 1 of 2, half of them by work = 40."
        );
        let [wide, strict] = &figure.drawings[..] else { panic!("two panels") };
        assert!(wide.desc.contains("b 2 of 2") && strict.desc.contains("b 1 of 2"));
        let svg = strict.body.clone().into_string();
        // Half of the way between the shares 0 and 1, at 262 and 74.
        assert!(svg.matches("polyline").count() >= 2 && svg.contains("168"), "{svg}");
        assert!(figure.keys.len() == 2 && figure.reading.contains("never did"));
        let other = text.replace("gap", "loss");
        assert!(plots::figure(&sample::plot(&other), &study).is_err());
    }
}
