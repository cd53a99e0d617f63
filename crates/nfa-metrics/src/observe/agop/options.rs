//! How AGOPs are computed.

/// How an AGOP is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Path {
    /// For chains of dense layers on the host where the device is a CPU, else factored; autodiff for
    /// all other networks.
    #[default]
    Auto,
    /// The sweep of matrix products on the CPU without Burn; chains only. Centred sums take the factored way.
    Host,
    /// The sweep of matrix products on the network's device; chains only.
    Factored,
    /// Burn's autodiff, one backward pass per output.
    Autodiff,
}

/// Options of the AGOP engine.
#[derive(Clone, Debug, PartialEq)]
pub struct AgopOptions {
    /// Which way.
    pub path: Path,
    /// At the inputs of which layers, from 0; `None` for all. The others' weights are observed too.
    pub layers: Option<Vec<usize>>,
    /// Subtract each output's mean Jacobian row over the samples.
    pub centered: bool,
    /// Random signs over the outputs instead of every output: so many draws per sample, unbiased,
    /// with relative standard error about √(2 / (draws · n)); `None` is exact.
    pub sketch: Option<usize>,
    /// Rows per batch; `None` takes what fits into [`AgopOptions::memory`].
    pub batch: Option<usize>,
    /// Bytes that a batch's temporaries may take; on the host half of it for each of up to eight batches in
    /// flight, and four times as much for the sums.
    pub memory: usize,
    /// Whether a wide layer is kept in the space that its weights span, which makes its spectrum cheap
    /// and the matrix itself dear.
    pub frames: bool,
    /// Up to how many multiply-adds the rows are kept as a factor (`f64` only); beyond, and in
    /// other dtypes, Gram matrices are summed.
    pub factor_work: f64,
}

impl AgopOptions {
    pub(crate) fn wants(&self, layer: usize) -> bool {
        self.layers.as_ref().is_none_or(|layers| layers.contains(&layer))
    }
}

impl Default for AgopOptions {
    fn default() -> Self {
        AgopOptions {
            path: Path::Auto,
            layers: None,
            centered: false,
            sketch: None,
            batch: None,
            memory: 64 << 20,
            frames: true,
            factor_work: 2e9,
        }
    }
}
