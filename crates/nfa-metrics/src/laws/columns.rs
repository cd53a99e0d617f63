//! The columns of a law: which quantities it has, and what they mean.

use crate::column::MetricInfo;
use crate::laws::law::Law;
use crate::laws::quantity::{AGREEMENT, AT_ALPHA, DETAILS, FINDING, OVERLAP, Quantity, Shown};

impl<T> Quantity<T> {
    /// Whether a law has a column of it.
    pub fn is_column(&self, law: &Law) -> bool {
        match self.shown {
            Shown::Always => true,
            Shown::Varying => law.varies,
            Shown::Signed => law.signed,
            Shown::OfOutputs => law.is_of_outputs(),
            Shown::Json => false,
        }
    }

    /// What a law's column means; `at` follows the name.
    fn info(&self, law: &Law, at: &str) -> MetricInfo {
        MetricInfo {
            name: format!("{}.{}{at}.layer<i>", law.name, self.name),
            symbol: self.symbol,
            unit: self.unit,
            range: (self.range)(law.family),
            better: self.better,
            doc: self.doc,
            reference: law.reference,
        }
    }
}

/// The columns that a law may have, with `layer<i>` for each layer and `@<alpha>` for other exponents.
pub fn law_columns(law: &Law) -> Vec<MetricInfo> {
    let mut columns: Vec<MetricInfo> =
        FINDING.iter().filter(|quantity| quantity.is_column(law)).map(|quantity| quantity.info(law, "")).collect();
    columns.extend(law.beside.iter().map(|quantity| quantity.info(law, "")));
    if law.signed {
        columns.extend(AGREEMENT.iter().map(|quantity| quantity.info(law, "")));
    }
    if law.details {
        let details = DETAILS.iter().filter(|quantity| quantity.is_column(law));
        columns.extend(details.map(|quantity| quantity.info(law, "")));
        columns.push(OVERLAP.info(law, "@<k>"));
        columns.extend(AT_ALPHA.iter().flat_map(|quantity| ["", "@<alpha>"].map(|at| quantity.info(law, at))));
    }
    columns
}
