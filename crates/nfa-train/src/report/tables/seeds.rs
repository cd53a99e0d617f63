//! Runs that differ in their seed alone, as one row: means with intervals between seeds.

use crate::report::draw::format::{self, UNDEFINED, ascii, fixed, short, sig};
use crate::report::tables::runs::scroll;
use crate::study::Study;
use crate::study::seeds::{Mean, Seeds, groups, keys};
use maud::{Markup, html};

/// The table of the page; nothing where no runs differ in their seed alone.
pub(crate) fn html(study: &Study, law: &str) -> Markup {
    let groups = groups(study);
    let keys = keys(&groups);
    let exponent = study.has_exponent(law);
    html! {
        @if !groups.is_empty() {
            h3 { "Between seeds" }
            p { "Means over seeds at the last probe, layer 0, with the mean\u{2019}s 95 % interval (Student\u{2019}s t); every column is in " a href="seeds.csv" { "seeds.csv" } "." }
            (scroll("Between seeds", groups.len(), html! {
                table.runs {
                    thead { tr {
                        @for key in &keys { th.right title=(key) { (short(key)) } }
                        th.right { "seeds" }
                        @if exponent { th.right { "α" } th.right { "95 %" } th.right { "α theory" } }
                        th.right { "misfit δ" } th.right { "95 %" } th { "verdicts" }
                    } }
                    tbody { @for group in &groups { tr {
                        @for key in &keys { th.right scope="row" { (group.setting(key)) } }
                        td.right { (group.runs.len()) }
                        @let alpha = group.mean(&column(law, "alpha"));
                        @let misfit = group.mean(&column(law, "misfit"));
                        @if exponent {
                            td.right.strong { (fixed(alpha.map(|mean| mean.mean), 4)) }
                            td.right { (alpha.map_or(UNDEFINED.into(), |mean| between(&mean, |v| format!("{v:.4}")))) }
                            td.right.theory { (fixed(group.mean(&column(law, "predicted")).map(|mean| mean.mean), 4)) }
                        }
                        td.right.strong { (format::maybe(misfit.map(|mean| mean.mean))) }
                        td.right { (misfit.map_or(UNDEFINED.into(), |mean| between(&mean, |v| sig(v, 2)))) }
                        td { (verdicts(group, law)) }
                    } } }
                }
            }))
        }
    }
}

/// The lines of a terminal; nothing where no runs differ in their seed alone.
pub(crate) fn text(study: &Study, law: &str) -> String {
    let groups = groups(study);
    if groups.is_empty() {
        return String::new();
    }
    let keys = keys(&groups);
    let exponent = study.has_exponent(law);
    let of_alpha = |cells: [String; 2]| cells.into_iter().filter(move |_| exponent);
    let mut rows: Vec<Vec<String>> = vec![
        keys.iter()
            .map(|key| short(key).to_string())
            .chain(["seeds".to_string()])
            .chain(of_alpha(["alpha", "95 %"].map(String::from)))
            .chain(["misfit", "95 %"].map(String::from))
            .collect(),
    ];
    let mut ends: Vec<String> = vec!["verdicts".into()];
    for group in &groups {
        let number = |quantity: &str, show: &dyn Fn(f64) -> String| match group.mean(&column(law, quantity)) {
            Some(mean) => [show(mean.mean), between(&mean, show)],
            None => ["-", "-"].map(String::from),
        };
        let alphas = number("alpha", &|v| format!("{v:.4}"));
        let [misfit, misfits] = number("misfit", &|v| ascii(v, 2));
        let settings = keys.iter().map(|key| group.setting(key).to_string());
        let seeds = [group.runs.len().to_string()];
        rows.push(settings.chain(seeds).chain(of_alpha(alphas)).chain([misfit, misfits]).collect());
        ends.push(verdicts(group, law));
    }
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut text = "\nbetween seeds\n".to_string();
    for (row, end) in rows.iter().zip(&ends) {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:>width$}  "));
        }
        text.push_str(end);
        text.push('\n');
    }
    text
}

fn column(law: &str, quantity: &str) -> String {
    format!("{law}.{quantity}.layer0")
}

fn between(mean: &Mean, show: impl Fn(f64) -> String) -> String {
    format!("[{}, {}]", show(mean.interval[0]), show(mean.interval[1]))
}

/// Such as `holds 4, approximate 1`.
fn verdicts(group: &Seeds<'_>, law: &str) -> String {
    let verdict = column(law, "verdict");
    group.words(&verdict).iter().map(|(word, n)| format!("{word} {n}")).collect::<Vec<_>>().join(", ")
}
