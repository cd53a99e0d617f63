//! What is said of a law at a place, as rows: records, JSON, `list metrics` and `explain` iterate over them.

use crate::column::Better;
use crate::judge::agreement::Agreement;
use crate::judge::certificate::CertificateKind;
use crate::judge::details::{AlphaDetails, Details};
use crate::judge::family::Family;
use crate::judge::finding::Finding;
use crate::judge::interval::Interval;

/// What a quantity is somewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Undefined here.
    Undefined,
    /// A number.
    Number(f64),
    /// A whole number.
    Count(usize),
    /// Yes or no.
    Flag(bool),
    /// A word or a sentence.
    Text(String),
}

impl From<Option<f64>> for Reading {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Reading::Undefined, Reading::Number)
    }
}

/// When a quantity has a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Always.
    Always,
    /// Of a law whose B varies with the rows, where its interval was asked for.
    Varying,
    /// Of a law whose B may be any square matrix.
    Signed,
    /// Of a law whose B is made of gradients of the outputs.
    OfOutputs,
    /// In JSON alone.
    Json,
}

/// Something that is said of a `T`: a [`Finding`], its [`Details`], or those at one exponent.
#[derive(Debug)]
pub struct Quantity<T> {
    /// Its name; a dot sets it in a group.
    pub name: &'static str,
    /// In formulae.
    pub symbol: &'static str,
    /// Unit; "1" for pure numbers, "text" for words.
    pub unit: &'static str,
    /// Possible values, of a law of this family.
    pub range: fn(Family) -> &'static str,
    /// Which way is good.
    pub better: Better,
    /// In a sentence.
    pub doc: &'static str,
    /// When it has a column.
    pub shown: Shown,
    /// How it is read off.
    pub of: fn(&T) -> Reading,
}

/// A pure number, in [0, 1] if nothing else is said.
pub(crate) const fn number<T>(
    name: &'static str,
    symbol: &'static str,
    doc: &'static str,
    of: fn(&T) -> Reading,
) -> Quantity<T> {
    Quantity { name, symbol, unit: "1", range: |_| "[0, 1]", better: Better::Neither, doc, shown: Shown::Always, of }
}

/// Words.
const fn text<T>(name: &'static str, doc: &'static str, of: fn(&T) -> Reading) -> Quantity<T> {
    Quantity { unit: "text", ..number(name, "", doc, of) }
}

impl<T> Quantity<T> {
    pub(crate) const fn symbol(self, symbol: &'static str) -> Self {
        Quantity { symbol, ..self }
    }

    pub(crate) const fn range(self, range: fn(Family) -> &'static str) -> Self {
        Quantity { range, ..self }
    }

    pub(crate) const fn lower(self) -> Self {
        Quantity { better: Better::Lower, ..self }
    }

    pub(crate) const fn higher(self) -> Self {
        Quantity { better: Better::Higher, ..self }
    }

    const fn shown(self, shown: Shown) -> Self {
        Quantity { shown, ..self }
    }
}

fn misfit_range(family: Family) -> &'static str {
    if family.misfit_range()[1].is_finite() { "[0, 1]" } else { "[0, inf)" }
}

fn low(interval: Option<Interval>) -> Reading {
    interval.map(|interval| interval.low).into()
}

fn high(interval: Option<Interval>) -> Reading {
    interval.map(|interval| interval.high).into()
}

/// The margin of a certificate that stands; of one without a margin that it does.
fn certificate(finding: &Finding, kind: CertificateKind) -> Reading {
    match finding.certificates.iter().find(|certificate| certificate.kind == kind) {
        None => Reading::Undefined,
        Some(found) => found.margin.map_or_else(|| Reading::Text("stands".into()), Reading::Number),
    }
}

/// Of every law.
pub const FINDING: &[Quantity<Finding>] = &[
    number("alpha", "alpha", "The exponent of the least misfit.", |f: &Finding| f.alpha.into()).range(|_| "[0.001, 4]"),
    number("predicted", "alpha*", "The exponent that theory predicts.", |f: &Finding| f.predicted.into())
        .range(|_| "(0, 1]"),
    text("exponent_agrees", "Whether the two agree.", |f: &Finding| {
        f.exponent_agrees.map_or(Reading::Undefined, Reading::Flag)
    })
    .symbol("|alpha - alpha*|")
    .range(|_| "true | false")
    .higher(),
    number("misfit", "delta", "|A - kappa B^alpha| / |A|, the least over the law's family.", |f: &Finding| {
        f.misfit.into()
    })
    .range(misfit_range)
    .lower(),
    number(
        "parts.directions",
        "delta_d",
        "A's mass outside B's eigenspaces: no function of B could repair it.",
        |f: &Finding| f.parts.map(|parts| parts.directions).into(),
    )
    .lower(),
    number(
        "parts.order",
        "delta_o",
        "Distance to every increasing function of B along its eigenvectors.",
        |f: &Finding| f.parts.map(|parts| parts.order).into(),
    )
    .lower(),
    number("parts.shape", "delta_s", "The rest: increasing, but not of the law's form.", |f: &Finding| {
        f.parts.map(|parts| parts.shape).into()
    })
    .range(misfit_range)
    .lower(),
    text("interval_source", "What varies in the intervals.", |f: &Finding| {
        Reading::Text(f.interval_source.name().into())
    })
    .range(|_| "none | inputs | seeds")
    .shown(Shown::Json),
    number(
        "alpha_interval.low",
        "alpha-",
        "Lower end of the exponent's 95 % interval over the inputs (interval = \"inputs\").",
        |f: &Finding| low(f.alpha_interval),
    )
    .range(|_| "[0.001, 4]")
    .shown(Shown::Varying),
    number("alpha_interval.high", "alpha+", "Its upper end.", |f: &Finding| high(f.alpha_interval))
        .range(|_| "[0.001, 4]")
        .shown(Shown::Varying),
    number(
        "misfit_interval.low",
        "delta-",
        "Lower end of the misfit's 95 % interval over the inputs (interval = \"inputs\").",
        |f: &Finding| low(f.misfit_interval),
    )
    .range(misfit_range)
    .shown(Shown::Varying),
    number("misfit_interval.high", "delta+", "Its upper end.", |f: &Finding| high(f.misfit_interval))
        .range(misfit_range)
        .shown(Shown::Varying),
    number("certificates.range", "|Pi A Pi|/|A|", "Bound: A has mass where B is zero.", |f: &Finding| {
        certificate(f, CertificateKind::Range)
    })
    .lower(),
    number("certificates.order", "delta_o", "Bound: A falls where B rises.", |f: &Finding| {
        certificate(f, CertificateKind::Order)
    })
    .lower(),
    number("certificates.commutator", "|AB-BA|/((g_max-g_min)|A|)", "Bound: A and B don't commute.", |f: &Finding| {
        certificate(f, CertificateKind::Commutator)
    })
    .lower(),
    number(
        "certificates.traceless",
        "-<A0,B0>/(|B0||A|)",
        "Bound: A and B are ordered against each other.",
        |f: &Finding| certificate(f, CertificateKind::Traceless),
    )
    .lower(),
    number("certificates.asymmetry", "|K|/|A|", "Bound: B is not symmetric.", |f: &Finding| {
        certificate(f, CertificateKind::Asymmetry)
    })
    .range(|_| "[0, inf)")
    .lower()
    .shown(Shown::Signed),
    number("certificates.indefinite", "|S-|/|A|", "Bound: B has negative eigenvalues.", |f: &Finding| {
        certificate(f, CertificateKind::Indefinite)
    })
    .range(|_| "[0, inf)")
    .lower()
    .shown(Shown::Signed),
    text("certificates.tie", "A is equal where B differs and no positive exponent fits.", |f: &Finding| {
        certificate(f, CertificateKind::Tie)
    })
    .range(|_| "stands | empty")
    .lower(),
    number("null.haar", "sqrt(1-haar^2)", "The misfit that a random rotation of A would have.", |f: &Finding| {
        f.null.haar.into()
    }),
    number("null.init", "delta(0)", "The misfit at initialisation.", |f: &Finding| f.null.init.into())
        .range(misfit_range),
    text("verdict", "The verdict.", |f: &Finding| Reading::Text(f.verdict.name().into()))
        .range(|_| "holds | approximate | fails | undetermined | not applicable"),
    text("reason", "Why.", |f: &Finding| Reading::Text(f.reason.clone())).range(|_| "a sentence"),
];

/// Of a law that has details.
pub const DETAILS: &[Quantity<Details>] = &[
    number("nfm_trace", "tr M", "Trace of M = W^T W.", |d: &Details| Reading::Number(d.nfm_trace))
        .range(|_| "[0, inf)"),
    number("agop_trace", "tr G", "Trace of the AGOP G.", |d: &Details| Reading::Number(d.agop_trace))
        .range(|_| "[0, inf)")
        .shown(Shown::OfOutputs),
    number("agop_rank", "r", "How many eigenvalues of G count.", |d: &Details| Reading::Count(d.agop_rank))
        .range(|_| "0, 1, ...")
        .shown(Shown::OfOutputs),
    text("rank_rule", "What rank and powers were computed from.", |d: &Details| {
        Reading::Text(d.rank_rule.name().into())
    })
    .range(|_| "stacked | product | streamed_qr | gram"),
    number("nfm_effective_rank", "(tr M)^2/|M|^2", "Effective rank of M.", |d: &Details| d.nfm_effective_rank.into())
        .range(|_| "[1, d]"),
    number("loglog_slope", "d log m / d log g", "Least squares of log m_i on log g_i.", |d: &Details| {
        d.loglog_slope.into()
    })
    .range(|_| "(-inf, inf)"),
    number("loglog_r2", "R^2", "Its coefficient of determination.", |d: &Details| d.loglog_r2.into()).higher(),
    number("kendall_tau", "tau_b", "Rank correlation of g_i and m_i.", |d: &Details| d.kendall_tau.into())
        .range(|_| "[-1, 1]")
        .higher(),
];

/// Of a law that has details, at each k of [`OVERLAPS`](crate::judge::details::OVERLAPS).
pub const OVERLAP: Quantity<Option<f64>> = number(
    "top_k_overlap",
    "|U_k^T V_k|^2/k",
    "Overlap of the leading k eigenvectors of M and G.",
    |overlap: &Option<f64>| (*overlap).into(),
)
.higher();

/// Of a law that has details, at each exponent a.
pub const AT_ALPHA: &[Quantity<AlphaDetails>] = &[
    number("cosine", "cos(M, G^a)", "Cosine of M and G^a.", |a: &AlphaDetails| a.cosine.into()).higher(),
    number("one_minus_cosine", "1 - cos", "1 - cosine, computed as |M/|M| - G^a/|G^a||^2 / 2.", |a: &AlphaDetails| {
        a.one_minus_cosine.into()
    })
    .lower(),
    number("traceless_cosine", "cos(M0, G0^a)", "Cosine after subtracting (tr/d) I from both.", |a: &AlphaDetails| {
        a.traceless_cosine.into()
    })
    .range(|_| "[-1, 1]")
    .higher(),
    number("pearson", "r", "Pearson correlation of all entries.", |a: &AlphaDetails| a.pearson.into())
        .range(|_| "[-1, 1]")
        .higher(),
    number("pearson_offdiag", "r_off", "Pearson correlation of the entries off the diagonal.", |a: &AlphaDetails| {
        a.pearson_offdiag.into()
    })
    .range(|_| "[-1, 1]")
    .higher(),
    number("relative_error", "|M - kappa G^a|/|M|", "Distance at this exponent.", |a: &AlphaDetails| {
        a.relative_error.into()
    })
    .lower(),
    number("kappa", "<M,G^a>/|G^a|^2", "Best factor at this exponent.", |a: &AlphaDetails| a.kappa.into())
        .range(|_| "[0, inf)"),
    number(
        "cosine_sorted",
        "cos of sorted spectra",
        "The best cosine that any rotation reaches.",
        |a: &AlphaDetails| a.cosine_sorted.into(),
    ),
    number("haar", "tr M tr G^a/(d|M||G^a|)", "Mean cosine under random rotation.", |a: &AlphaDetails| a.haar.into()),
];

/// Of a law whose B may be any square matrix: the two as they are, without exponent or factor.
pub const AGREEMENT: &[Quantity<Agreement>] = &[
    number("cosine", "cos(A, B)", "Cosine of A and B.", |a: &Agreement| a.cosine.into()).range(|_| "[-1, 1]").higher(),
    number("pearson", "r", "Pearson correlation of all entries.", |a: &Agreement| a.pearson.into())
        .range(|_| "[-1, 1]")
        .higher(),
    number("pearson_offdiag", "r_off", "Pearson correlation of the entries off the diagonal.", |a: &Agreement| {
        a.pearson_offdiag.into()
    })
    .range(|_| "[-1, 1]")
    .higher(),
    number("spearman", "rho", "Rank correlation of all entries.", |a: &Agreement| a.spearman.into())
        .range(|_| "[-1, 1]")
        .higher(),
    number("relative_error", "|A - B|/|A|", "Distance of the two.", |a: &Agreement| a.relative_error.into())
        .range(|_| "[0, inf)")
        .lower(),
    number("trace_ratio", "tr B/tr A", "Trace of B over that of A.", |a: &Agreement| a.trace_ratio.into())
        .range(|_| "(-inf, inf)"),
    number(
        "rooted_cosine",
        "cos(A, (B B^T)^(1/2))",
        "Cosine of A and the root of B B^T, the paper's symmetric form: the sign of B is lost.",
        |a: &Agreement| a.rooted_cosine.into(),
    ),
    number("rooted_pearson", "r(A, (B B^T)^(1/2))", "Pearson correlation with the root of B B^T.", |a: &Agreement| {
        a.rooted_pearson.into()
    })
    .range(|_| "[-1, 1]"),
];
