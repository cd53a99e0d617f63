//! One forward pass, every linear map of it by name.
//!
//! A network hands its maps to [`Sites`] instead of computing them itself. While training that is all that
//! happens; while measuring every map is remembered as a *site*: its weights W in paper layout, and the gradient
//! of what is differentiated in what the map puts out, δ = ∂f/∂z. The AGOP at the map's input, through this map
//! alone, is then WᵀKW with K the mean over samples of Σ_p δ_pᵀδ_p over outputs and positions p.
//!
//! *Through this map alone*: what reads the same value elsewhere (a skip, a second map) is another reader, measured
//! at its own site. So a residual block, the query, key and value of attention and a shared weight have one
//! definition each, whatever else the network does.
//!
//! | in the network | its site | W | positions |
//! |---|---|---|---|
//! | dense layer on `[n, .., d]` | [`Sites::linear`], [`Sites::dense`] | `[k, d]` | the axes between |
//! | convolution | [`Sites::conv1d`], [`Sites::conv2d`] | `[c_out, c_in · kernel]`, on unfolded patches | the outputs' places |
//! | grouped convolution | one per group, `<name>.group<i>` | the group's rows | the same |
//! | embedding | [`Sites::embedding`] | `[d_model, vocabulary]`, on one-hot rows | tokens |
//! | fused query, key, value | [`Sites::split`]: `<name>.q`, ... | their rows | tokens |
//! | heads | [`Sites::heads`]: `<name>.head<i>` beside the whole | their rows | tokens |
//! | a value without weights | [`Sites::value`] | none | the axes between |
//!
//! What stands between maps is no site: Burn's own functions do. Handed to `at` too ([`Sites::activation`],
//! [`Sites::softmax`], [`Sites::matmul`], [`Sites::layer_norm`]) it takes less time while measuring, to the same
//! numbers.
//!
//! A name that comes twice in one pass is one site whose weights are shared: K is summed over its uses, as over
//! positions. It has to be the same weight in the same role. What is normalised after a map (layer norm, batch norm
//! in inference mode) lies behind the site and is differentiated with all else.

mod between;
mod fault;
mod layers;
mod record;
mod recording;
mod used;

use std::fmt;

use burn::tensor::Tensor;

pub use fault::SitesError;
pub use record::{Kept, Record, Site};
pub use used::{Input, Use};

use recording::Recording;

/// Hands out what a map computes, or remembers it too.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor, activation};
/// use nfa_models::{Network, Sites};
///
/// /// A residual block between two dense layers.
/// #[derive(Module, Debug)]
/// struct Residual {
///     stem: Linear,
///     up: Linear,
///     down: Linear,
///     head: Linear,
/// }
///
/// impl Network for Residual {
///     fn forward(&self, x: Tensor<2>, at: &mut Sites) -> Tensor<2> {
///         let h = at.linear("stem", x, &self.stem);
///         let u = activation::relu(at.linear("up", h.clone(), &self.up));
///         let h = h + at.linear("down", u, &self.down);
///         at.linear("head", h, &self.head)
///     }
/// }
///
/// let device = Device::flex();
/// let linear = |d, k| LinearConfig::new(d, k).init(&device);
/// let network = Residual { stem: linear(4, 3), up: linear(3, 8), down: linear(8, 3), head: linear(3, 2) };
/// let mut at = Sites::recording(1);
/// network.forward(Tensor::ones([5, 4], &device), &mut at);
/// let names: Vec<String> = at.finish()?.sites.into_iter().map(|site| site.name).collect();
/// assert_eq!(names, ["stem", "up", "down", "head"]);
/// # Ok::<(), nfa_models::SitesError>(())
/// ```
#[derive(Debug, Default)]
pub struct Sites(Option<Box<Recording>>);

impl Sites {
    /// Remembers nothing: maps are computed, and that is all.
    pub fn off() -> Self {
        Sites(None)
    }

    /// Remembers every map, with a leaf at what it puts out; the batch is `copies` times the same rows, copy after
    /// copy.
    pub fn recording(copies: usize) -> Self {
        Sites(Some(Box::new(Recording::new(copies))))
    }

    /// Leaves at the maps of these names alone.
    #[must_use]
    pub fn only(self, names: &[String]) -> Self {
        self.with(|recording| recording.only = Some(names.to_vec()))
    }

    /// Keeps what the maps read and put out, too.
    #[must_use]
    pub fn with_inputs(self) -> Self {
        self.with(|recording| recording.inputs = true)
    }

    /// Keeps the maps' weights: for a pass that looks at a network's form.
    #[must_use]
    pub fn with_weights(self) -> Self {
        self.with(|recording| recording.weights = true)
    }

    /// Keeps what maps and what stands between them compute, or takes it from a pass over the same rows that did: then
    /// only the tape is made anew. Where a backend has no operations of ours it is computed again.
    #[must_use]
    pub fn keeping(self, kept: Kept) -> Self {
        self.with(|recording| recording.kept = Some(Kept { at: 0, ..kept }))
    }

    /// Whether values of these rows are kept at all.
    pub fn keeps(x: &Tensor<2>) -> bool {
        crate::tape::is_ours(x)
    }

    /// Holds functions against what is said of them: that of [`Sites::activation`] works on single numbers.
    #[must_use]
    pub fn checking(self) -> Self {
        self.with(|recording| recording.checks = true)
    }

    /// Puts other numbers in the place of what the map of this name puts out.
    #[must_use]
    pub fn replacing(self, name: &str, numbers: Tensor<1>) -> Self {
        self.with(|recording| recording.replaced = Some((name.to_string(), numbers)))
    }

    fn with(mut self, change: impl FnOnce(&mut Recording)) -> Self {
        if let Some(recording) = &mut self.0 {
            change(recording);
        }
        self
    }

    /// What passed, in order.
    ///
    /// # Errors
    /// What the network said of its maps does not add up: see [`SitesError`].
    pub fn finish(self) -> Result<Record, SitesError> {
        self.0.map_or_else(|| Ok(Record::default()), |recording| recording.finish())
    }

    /// z = h Wᵀ + b, for parameters of one's own.
    ///
    /// # Shapes
    /// h: `[n, .., d]`, weight: `[k, d]`, bias: `[k]` → `[n, .., k]`
    pub fn dense<const D: usize>(
        &mut self,
        name: impl fmt::Display,
        h: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Tensor<D> {
        match &mut self.0 {
            None => layers::dense(h, weight, bias),
            Some(recording) => layers::recorded_dense(recording, name.to_string(), h, weight, bias),
        }
    }

    /// A place without weights: the value itself, named. Its AGOP is that of all that reads it together.
    ///
    /// # Shapes
    /// h: `[n, .., d]` → the same
    pub fn value<const D: usize>(&mut self, name: impl fmt::Display, h: Tensor<D>) -> Tensor<D> {
        match &mut self.0 {
            None => h,
            Some(recording) => recording.value(name.to_string(), h),
        }
    }

    /// Says that a map's outputs are those of several maps side by side, such as query, key and value: each is a site
    /// of its own, `<name>.<part>`, in the place of the whole.
    pub fn split(&mut self, name: impl fmt::Display, parts: &[(&str, usize)]) {
        if let Some(recording) = &mut self.0 {
            recording.split(name.to_string(), parts);
        }
    }

    /// Says that a map's outputs, or those of a part ([`Sites::split`]), are so many heads: each is a site too,
    /// `<name>.head<i>`, beside the whole.
    pub fn heads(&mut self, name: impl fmt::Display, count: usize) {
        if let Some(recording) = &mut self.0 {
            recording.heads(name.to_string(), count);
        }
    }

    /// Says that a site reads what another writes, unit by unit (through an activation or a gate): then what is read
    /// and what is written can be in balance. Name every reader, or none: nothing is taken to follow that is not
    /// declared.
    pub fn follows(&mut self, before: impl fmt::Display, after: impl fmt::Display) {
        if let Some(recording) = &mut self.0 {
            recording.follows.push((before.to_string(), after.to_string()));
        }
    }
}
