//! What each column that a law brings means: the words behind `list metrics`.

use crate::judge::family::Family;
use crate::laws::law::Law;
use crate::metrics::metric::{Better, MetricInfo};

/// The columns of a law, with `layer<i>` for each layer and `@<alpha>` for other exponents.
pub fn law_columns(law: &Law) -> Vec<MetricInfo> {
    let column = |quantity: &str, symbol, unit, range, better, doc| MetricInfo {
        name: format!("{}.{quantity}.layer<i>", law.name),
        symbol,
        unit,
        range,
        better,
        doc,
        reference: law.reference,
    };
    use Better::{Higher, Lower, Neither};
    let misfit_range = if law.family == Family::Equal { "[0, inf)" } else { "[0, 1]" };
    let mut columns = vec![
        column("alpha", "alpha", "1", "[0.001, 4]", Neither, "The exponent of the least misfit."),
        column("predicted", "alpha*", "1", "(0, 1]", Neither, "The exponent that theory predicts."),
        column("exponent_agrees", "|alpha - alpha*|", "text", "true | false", Higher, "Whether the two agree."),
        column(
            "misfit",
            "delta",
            "1",
            misfit_range,
            Lower,
            "|A - kappa B^alpha| / |A|, the least over the law's family.",
        ),
        column(
            "parts.directions",
            "delta_d",
            "1",
            "[0, 1]",
            Lower,
            "A's mass outside B's eigenspaces: no function of B could repair it.",
        ),
        column(
            "parts.order",
            "delta_o",
            "1",
            "[0, 1]",
            Lower,
            "Distance to every increasing function of B along its eigenvectors.",
        ),
        column("parts.shape", "delta_s", "1", misfit_range, Lower, "The rest: increasing, but not of the law's form."),
        column(
            "alpha_interval.low",
            "alpha-",
            "1",
            "[0.001, 4]",
            Neither,
            "Lower end of the exponent's 95 % interval over the inputs (interval = \"inputs\").",
        ),
        column("alpha_interval.high", "alpha+", "1", "[0.001, 4]", Neither, "Its upper end."),
        column(
            "misfit_interval.low",
            "delta-",
            "1",
            misfit_range,
            Neither,
            "Lower end of the misfit's 95 % interval over the inputs (interval = \"inputs\").",
        ),
        column("misfit_interval.high", "delta+", "1", misfit_range, Neither, "Its upper end."),
        column("certificates.range", "|Pi A Pi|/|A|", "1", "[0, 1]", Lower, "Bound: A has mass where B is zero."),
        column("certificates.order", "delta_o", "1", "[0, 1]", Lower, "Bound: A falls where B rises."),
        column(
            "certificates.commutator",
            "|AB-BA|/((g_max-g_min)|A|)",
            "1",
            "[0, 1]",
            Lower,
            "Bound: A and B don't commute.",
        ),
        column(
            "certificates.traceless",
            "-<A0,B0>/(|B0||A|)",
            "1",
            "[0, 1]",
            Lower,
            "Bound: A and B are ordered against each other.",
        ),
        column(
            "certificates.tie",
            "",
            "text",
            "stands | empty",
            Lower,
            "A is equal where B differs and no positive exponent fits.",
        ),
        column(
            "null.haar",
            "sqrt(1-haar^2)",
            "1",
            "[0, 1]",
            Neither,
            "The misfit that a random rotation of A would have.",
        ),
        column("null.init", "delta(0)", "1", misfit_range, Neither, "The misfit at initialisation."),
        column("verdict", "", "text", "holds | approximate | fails | undetermined", Neither, "The verdict."),
        column("reason", "", "text", "a sentence", Neither, "Why."),
    ];
    if law.details {
        columns.extend([
            column("nfm_trace", "tr M", "1", "[0, inf)", Neither, "Trace of M = W^T W."),
            column("agop_trace", "tr G", "1", "[0, inf)", Neither, "Trace of the AGOP G."),
            column("agop_rank", "r", "1", "0, 1, ...", Neither, "How many eigenvalues of G count."),
            column(
                "rank_rule",
                "",
                "text",
                "stacked | product | streamed_qr | gram",
                Neither,
                "What rank and powers were computed from.",
            ),
            column("nfm_effective_rank", "(tr M)^2/|M|^2", "1", "[1, d]", Neither, "Effective rank of M."),
            column(
                "loglog_slope",
                "d log m / d log g",
                "1",
                "(-inf, inf)",
                Neither,
                "Least squares of log m_i on log g_i.",
            ),
            column("loglog_r2", "R^2", "1", "[0, 1]", Higher, "Its coefficient of determination."),
            column("kendall_tau", "tau_b", "1", "[-1, 1]", Higher, "Rank correlation of g_i and m_i."),
            column(
                "top_k_overlap@<k>",
                "|U_k^T V_k|^2/k",
                "1",
                "[0, 1]",
                Higher,
                "Overlap of the leading k eigenvectors of M and G.",
            ),
        ]);
        for (quantity, symbol, range, better, doc) in [
            ("cosine", "cos(M, G^a)", "[0, 1]", Higher, "Cosine of M and G^a."),
            ("one_minus_cosine", "1 - cos", "[0, 1]", Lower, "1 - cosine, computed as |M/|M| - G^a/|G^a||^2 / 2."),
            ("traceless_cosine", "cos(M0, G0^a)", "[-1, 1]", Higher, "Cosine after subtracting (tr/d) I from both."),
            ("pearson", "r", "[-1, 1]", Higher, "Pearson correlation of all entries."),
            ("pearson_offdiag", "r_off", "[-1, 1]", Higher, "Pearson correlation of the entries off the diagonal."),
            ("relative_error", "|M - kappa G^a|/|M|", "[0, 1]", Lower, "Distance at this exponent."),
            ("kappa", "<M,G^a>/|G^a|^2", "[0, inf)", Neither, "Best factor at this exponent."),
            ("cosine_sorted", "cos of sorted spectra", "[0, 1]", Neither, "The best cosine that any rotation reaches."),
            ("haar", "tr M tr G^a/(d|M||G^a|)", "[0, 1]", Neither, "Mean cosine under random rotation."),
        ] {
            columns.push(column(quantity, symbol, "1", range, better, doc));
            columns.push(column(&format!("{quantity}@<alpha>"), symbol, "1", range, better, doc));
        }
    }
    columns
}

/// Whether a column's name fits the pattern of an info.
pub fn describes(pattern: &str, column: &str) -> bool {
    match pattern.split_once('<') {
        None => pattern == column,
        Some((before, rest)) => {
            let Some(after) = column.strip_prefix(before) else { return false };
            let (_, pattern) = rest.split_once('>').unwrap_or(("", ""));
            // The placeholder is a number: digits, and what decimals are made of.
            let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '-');
            let longest = after.find(|c| !number(c)).unwrap_or(after.len());
            (1..=longest).any(|length| describes(pattern, &after[length..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::laws::quantity::describes;

    #[test]
    fn patterns_fit_numbers_only() {
        assert!(describes("nfa.alpha.layer<i>", "nfa.alpha.layer12"));
        assert!(describes("nfa.cosine@<alpha>.layer<i>", "nfa.cosine@0.25.layer3"));
        assert!(!describes("nfa.cosine@<alpha>.layer<i>", "nfa.cosine.layer3"));
        assert!(!describes("nfa.alpha.layer<i>", "nfa.alpha.layer"));
    }
}
