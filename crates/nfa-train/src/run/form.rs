//! The form of a run's network: which sites it has, and which of them are measured.

use burn::tensor::Tensor;
use nfa_metrics::{Layout, Mat, Placed, SitesError};
use nfa_models::AnyNetwork;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::observe::layers::{Layers, NoLayer};
use crate::record::layout::SITES;
use crate::train::second_order::function::FunctionNetwork;

/// What is known of a network before it is trained.
pub(super) struct Form {
    layout: Layout,
    /// The layers that are measured; `None` for all.
    pub(super) measured: Option<Vec<usize>>,
}

impl Form {
    /// Lets a few rows through.
    pub(super) fn new(network: &dyn AnyNetwork, x: &Tensor<2>, layers: &Layers) -> Result<Self> {
        if network.as_any().is::<FunctionNetwork>() {
            return Ok(Form { layout: Layout::empty(), measured: None });
        }
        let layout =
            Layout::new(&|x, at| network.forward(x, at), x).map_err(|error| unmeasured(&error))?.with_weights();
        if layout.sites.is_empty() {
            return Err(unmeasured(&SitesError::NoSite));
        }
        let names: Vec<String> = layout.sites.iter().map(|placed| placed.site.name.clone()).collect();
        let measured = layers.among(&names).map_err(|NoLayer { asked, there }| {
            Error::input(format!("probe.layers: there is no layer {asked}; the network has layers {there}"))
        })?;
        Ok(Form { layout, measured })
    }

    /// `sites.json`: which layer is which.
    pub(super) fn json(&self) -> Value {
        let site = |(i, placed): (usize, &Placed)| {
            let [d_out, d_in] = [Mat::nrows, Mat::ncols].map(|size| placed.weight.as_ref().map(size));
            json!({
                "layer": i, "name": placed.site.name, "d_in": d_in, "d_out": d_out,
                "positions": placed.positions, "last": placed.last.is_some(), "readers": self.layout.readers(i),
                "measured": self.measured.as_ref().is_none_or(|layers| layers.contains(&i)),
            })
        };
        let skipped: Vec<Value> =
            self.layout.skipped.iter().map(|(name, why)| json!({ "name": name, "reason": why })).collect();
        let sites: Vec<Value> = self.layout.sites.iter().enumerate().map(site).collect();
        json!({ "schema": SITES, "sites": sites, "skipped": skipped })
    }
}

/// A network whose sites can't be measured.
pub(super) fn unmeasured(error: &SitesError) -> Error {
    Error::input(format!("model: {error}"))
}
