//! The words of the page.

use maud::{Markup, html};
use nfa_metrics::judge::family::Family;
use nfa_metrics::laws::law::Law;

use crate::keys::get;
use crate::study::Study;

/// The list of definitions that a page ends with.
pub(crate) fn definitions(study: &Study) -> Markup {
    let of_law = match study.law() {
        Some(law) if law.name != nfa_metrics::laws::nfa::LAW.name => of_any(law).to_vec(),
        _ => of_nfa().map(|(term, meaning)| (term, meaning.to_string())).to_vec(),
    };
    let shared = [
        ("rows", rows(study).as_str()),
        (
            "its parts",
            "directions² + order² + shape² = δ²: what no function of B could repair; what no increasing function could; and what is increasing but not of the law’s form.",
        ),
        ("leak", "of a direction: the off-diagonal part of A in B\u{2019}s eigenbasis, in the row of that direction."),
        ("null", "the misfit that A would have after a random rotation, and the misfit of this layer before training."),
        (
            "imbalance",
            "D = Wₗ₊₁ᵀWₗ₊₁ \u{2212} WₗWₗᵀ of neighbouring layers. Under gradient descent with weight decay λ its norm falls like (1 \u{2212} ηλ)²ᵗ, up to terms of second order in the learning rate η; under gradient flow it is exp(\u{2212}2ληt) exactly, ηt the time.",
        ),
        (
            "verdict",
            "the first rule that applies: undetermined, where too few rows differ; fails, where a certificate refutes every exponent or δ is above 0.2, or where no positive exponent fits; undetermined, where the exponent cannot be told; holds, where δ is at most 0.05, and approximate, at most 0.2, both only where it is nearer than chance; undetermined otherwise. The thresholds are options, printed in each configuration.",
        ),
        ("check", "an [[expect]] block of the experiment held against one run, at the worst probe that it speaks of."),
    ]
    .map(|(term, meaning)| (term, meaning.to_string()));
    html! { dl.terms { @for (term, meaning) in of_law.into_iter().chain(shared) { dt { (term) } dd { (meaning) } } } }
}

/// A law, the matrices it is of, and its misfit.
fn of_any(law: &Law) -> [(&'static str, String); 4] {
    let free = if law.family == Family::Equal { "" } else { " at the best factor and exponent, where they are free" };
    let misfit = format!("|A \u{2212} {}| / |A|{free}, Frobenius norms; 0 is exactly the law.", law.family.sign());
    [("A", law.left.to_string()), ("B", law.right.to_string()), ("law", law.doc.to_string()), ("misfit δ", misfit)]
}

/// The same of the Neural Feature Ansatz.
fn of_nfa() -> [(&'static str, &'static str); 5] {
    [
        (
            "AGOP",
            "B: the mean over the rows of JᵀJ, where J is the Jacobian of the network\u{2019}s outputs with respect to the inputs of the layer. Its large eigenvalues are the directions to which the output is sensitive.",
        ),
        ("weights", "A = WᵀW of the same layer, without any normalisation."),
        (
            "law",
            "A ≈ κBᵅ. In a linear network of L matrices with balanced weights it is exact with α = 1/L in the first layer, and 1/(matrices from here on) in the others.",
        ),
        ("exponent α", "the exponent in [0.001, 4] that minimises the misfit."),
        (
            "misfit δ",
            "|A \u{2212} κBᵅ| / |A| at the best κ and α, Frobenius norms; 0 is exactly the law, and for powers δ² = 1 \u{2212} cos².",
        ),
    ]
}

/// Which rows AGOPs and intervals are of.
fn rows(study: &Study) -> String {
    let mut sorts: Vec<(bool, Option<u64>)> = Vec::new();
    for run in &study.runs {
        let held_out = get(&run.config, "probe.rows").and_then(|rows| rows.as_str()) == Some("test");
        let sort = (held_out, run.manifest.get("probed_rows").and_then(serde_json::Value::as_u64));
        if !sorts.contains(&sort) {
            sorts.push(sort);
        }
    }
    let words = sorts.iter().map(|(held_out, count)| {
        let count = count.map_or(String::new(), |count| format!("{count} "));
        format!("{count}{}", if *held_out { "held out" } else { "trained on" })
    });
    let words: Vec<String> = words.collect();
    format!(
        "what AGOPs, exponents, misfits and their intervals are of: {}. An interval over the inputs says what these weights would show on fresh rows; on rows that were trained on it is too narrow.",
        if words.is_empty() { "not recorded".to_string() } else { words.join(", or ") }
    )
}
