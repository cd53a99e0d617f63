//! What was found of a law at a layer, as cells of a row.

use nfa_metrics::judge::details::OVERLAPS;
use nfa_metrics::laws::quantity::{AGREEMENT, AT_ALPHA, DETAILS, FINDING, OVERLAP, Quantity, Reading, Shown};
use nfa_metrics::{Judged, Place};

use crate::record::{Cell, decimal};

/// The columns of a law at a layer; its intervals where they were asked for. Details at 1/(depth from here) go
/// without, at other exponents with `@alpha`.
pub fn columns(place: &Place, found: &Judged, intervals: bool) -> Vec<(String, Cell)> {
    let law = &place.law;
    let name = |quantity: &str, at: &str| format!("{}.{quantity}{at}.layer{}", law.name, place.layer);
    let shown = |quantity: &&Quantity<_>| quantity.is_column(law) && (quantity.shown != Shown::Varying || intervals);
    let of_finding = FINDING.iter().filter(shown);
    let mut row: Vec<_> =
        of_finding.map(|quantity| (name(quantity.name, ""), cell((quantity.of)(&found.finding)))).collect();
    let known = |reading: Option<Reading>| reading.map_or(Cell::Empty, cell);
    let beside = law.beside.iter().zip(&found.beside);
    row.extend(beside.map(|(quantity, reading)| (name(quantity.name, ""), cell(reading.clone()))));
    if law.signed {
        let agreement = found.agreement.as_ref();
        row.extend(AGREEMENT.iter().map(|quantity| (name(quantity.name, ""), known(agreement.map(quantity.of)))));
    }
    if !law.details {
        return row;
    }
    let details = found.details.as_ref();
    let own = DETAILS.iter().filter(|quantity| quantity.is_column(law));
    row.extend(own.map(|quantity| (name(quantity.name, ""), known(details.map(quantity.of)))));
    row.extend(OVERLAPS.into_iter().map(|k| {
        let overlap = details.and_then(|d| d.top_k_overlap.iter().find(|(other, _)| *other == k));
        (name(OVERLAP.name, &format!("@{k}")), cell((OVERLAP.of)(&overlap.map(|(_, value)| *value))))
    }));
    for (index, &alpha) in place.alphas.iter().enumerate() {
        let at = if place.own == Some(alpha) { String::new() } else { format!("@{}", decimal(alpha)) };
        let there = details.and_then(|d| d.at.get(index));
        row.extend(AT_ALPHA.iter().map(|quantity| (name(quantity.name, &at), known(there.map(quantity.of)))));
    }
    row
}

fn cell(reading: Reading) -> Cell {
    match reading {
        Reading::Undefined => Cell::Empty,
        Reading::Number(number) => Cell::number(number),
        Reading::Count(count) => Cell::number(count as f64),
        Reading::Flag(flag) => Cell::Text(flag.to_string()),
        Reading::Text(text) => Cell::Text(text),
    }
}
