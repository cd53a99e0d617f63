//! Capture files: what laws need of a network that never was in Burn.
//!
//! For a linear map z = Wh inside any network, the AGOP of the outputs at that map's input is
//! WᵀKW with K = mean over samples of Σ (∂f/∂z)(∂f/∂z)ᵀ. Two hooks in any framework accumulate K;
//! the format `nfa.capture/1` is one safetensors file with, for every site `s`:
//!
//! | key | shape | holds |
//! |---|---|---|
//! | `s.weight` | `[k, d]` | W |
//! | `s.k` | `[B, k, k]` | K in B blocks of samples, each the mean over its samples |
//! | `s.count` | `[B]` | samples per block |
//! | `s.weight_init` | `[k, d]` | optional: W at initialisation |
//! | `s.grad` | `[k, d]` | optional: gradient of the mean training loss |
//! | `s.hh`, `s.gg` | `[d, d]` | optional: means of h hᵀ and of (∇_hℓ)(∇_hℓ)ᵀ |
//! | `s.bias` | `[k]` | optional |
//!
//! and metadata: `format`, `framework`, `n`, `outputs`, `loss`, `weight_decay`, `decay`, `mode`,
//! `estimator`, `order`; optional `last` (the sites whose output is the network's) and `skipped`
//! (what has weights and is no site, as `name: reason; name: reason`).

mod entry;
mod error;
mod site;
mod source;
mod trained;

use std::collections::{BTreeMap, BTreeSet};

use safetensors::SafeTensors;

use crate::laws::needs::Needs;
use crate::observation::{Layer, Observation};

pub use error::CaptureError;
use error::wrong;
pub use site::CapturedSite;
pub use source::TensorSource;
pub use trained::Trained;

/// Text of a note for a message: escaped, and its start alone.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

/// A capture file, checked and as a whole in memory.
#[derive(Clone, Debug)]
pub struct Capture {
    /// In the order of the metadata, or of the numbers in their names.
    pub sites: Vec<CapturedSite>,
    /// The file's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A capture file of which a site is in memory at a time.
pub struct Recording<'a> {
    tensors: &'a dyn TensorSource,
    metadata: BTreeMap<String, String>,
    /// In the order of the metadata, or of the numbers in them.
    names: Vec<String>,
}

/// Machine epsilon of the numbers that derivatives were computed in, as a recorder names them; 0 where it doesn't say.
fn computed_with(name: &str) -> f64 {
    match name {
        "f64" => f64::EPSILON,
        "f32" => f64::from(f32::EPSILON),
        "tf32" | "f16" => 2f64.powi(-10),
        "bf16" => 2f64.powi(-7),
        _ => 0.0,
    }
}

/// What may follow a site's name.
const PARTS: [&str; 8] = ["weight", "k", "count", "weight_init", "grad", "hh", "gg", "bias"];

impl<'a> Recording<'a> {
    /// Checks what a file says of itself; its sites are read later.
    ///
    /// # Errors
    /// Another format, unknown entries, an order that names other sites than there are.
    pub fn open(tensors: &'a dyn TensorSource, metadata: BTreeMap<String, String>) -> Result<Self, CaptureError> {
        match metadata.get("format").map(String::as_str) {
            Some("nfa.capture/1") => {}
            Some(other) => {
                return Err(wrong("", format!("the format is {}; this reads nfa.capture/1", shown(other))));
            }
            None => {
                return Err(wrong(
                    "",
                    "the metadata has no format = nfa.capture/1: a file of weights goes with --weights",
                ));
            }
        }
        let mut known: BTreeSet<String> = BTreeSet::new();
        for key in &tensors.names() {
            let (name, part) = key.rsplit_once('.').unwrap_or(("", key));
            if !PARTS.contains(&part) || name.is_empty() {
                return Err(wrong(key, format!("unknown entry; a site has {}", PARTS.join(", "))));
            }
            known.insert(name.to_string());
        }
        let names: Vec<String> = match metadata.get("order") {
            Some(order) => {
                let mut names = Vec::new();
                for name in order.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    // Each once: a short note must not make a small file a large capture.
                    if !known.remove(name) {
                        let twice = names.iter().any(|before| before == name);
                        let what = if twice { "twice" } else { "and there are no entries of it" };
                        return Err(wrong("", format!("the metadata's order names {} {what}", shown(name))));
                    }
                    names.push(name.to_string());
                }
                if let Some(name) = known.first() {
                    return Err(wrong(name, "is not in the metadata's order"));
                }
                names
            }
            None => {
                let mut names: Vec<String> = known.into_iter().collect();
                names.sort_by_key(|name| natural(name));
                names
            }
        };
        if names.is_empty() {
            return Err(wrong("", "holds no site"));
        }
        Ok(Recording { tensors, metadata, names })
    }

    /// The sites' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The file's metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Outputs and inputs of a site's map, as the header has them; `None` where its weight is no matrix.
    pub fn size(&self, site: usize) -> Option<(usize, usize)> {
        match self.tensors.entry(&format!("{}.weight", self.names[site]))?.1[..] {
            [k, d] => Some((k, d)),
            _ => None,
        }
    }

    /// Reads and checks a site.
    ///
    /// # Errors
    /// Missing entries, shapes that don't fit, numbers that are not finite, a K that is not symmetric.
    pub fn site(&self, site: usize) -> Result<CapturedSite, CaptureError> {
        self.site_for(site, Needs::WEIGHTS)
    }

    /// The same, with the moments that laws need: those of wide maps outweigh everything else.
    ///
    /// # Errors
    /// As of [`Recording::site`].
    pub fn site_for(&self, site: usize, needs: Needs) -> Result<CapturedSite, CaptureError> {
        let computed = computed_with(self.metadata.get("compute").map_or("", String::as_str));
        CapturedSite::read(self.tensors, self.names[site].clone(), computed, needs)
    }

    /// Whether some site has this part.
    pub fn has(&self, part: &str) -> bool {
        self.names.iter().any(|name| self.tensors.entry(&format!("{name}.{part}")).is_some())
    }

    /// Whether a site's output is the network's.
    pub fn is_last(&self, site: usize) -> bool {
        is_last(&self.metadata, &self.names[site])
    }
}

fn is_last(metadata: &BTreeMap<String, String>, name: &str) -> bool {
    metadata.get("last").is_some_and(|last| last.split(',').any(|last| last == name))
}

impl Capture {
    /// Reads and checks the bytes of a capture file.
    ///
    /// # Errors
    /// As of [`Recording`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CaptureError> {
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|e| wrong("", format!("not a safetensors file: {e}")))?;
        let metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| wrong("", format!("damaged: {e}")))?;
        let recording = Recording::open(&tensors, metadata)?;
        let sites = crate::parallel::map(recording.names.len(), |i| recording.site(i));
        Ok(Capture { sites: sites.into_iter().collect::<Result<_, _>>()?, metadata: recording.metadata })
    }

    /// The number of samples, as counted in the blocks of the first site.
    pub fn samples(&self) -> f64 {
        self.sites.first().map_or(0.0, CapturedSite::samples)
    }

    /// As the laws look at it. Depths are unknown: there is more in a network than its sites.
    pub fn observation(&self) -> Observation {
        let layer = |site: &CapturedSite| Layer { last: is_last(&self.metadata, &site.name), ..site.layer(None) };
        let layers = self.sites.iter().map(layer).collect();
        let eps = self.sites.iter().map(|site| site.eps).fold(f64::EPSILON, f64::max);
        Observation { layers, linear: false, eps }
    }
}

/// The natural order of names: numbers inside them by value.
pub fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(text);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((word.to_string(), number.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    use std::collections::HashMap;

    type Entries = Vec<(&'static str, Vec<usize>, Vec<f64>)>;

    fn valid() -> Entries {
        vec![
            ("fc10.weight", vec![2, 3], vec![1.0, 0.0, 2.0, 0.0, 1.0, -1.0]),
            ("fc10.k", vec![2, 2, 2], vec![1.0, 0.5, 0.5, 2.0, 3.0, 0.0, 0.0, 1.0]),
            ("fc10.count", vec![2], vec![10.0, 30.0]),
            ("fc2.weight", vec![1, 2], vec![1.0, 2.0]),
            ("fc2.k", vec![1, 1, 1], vec![4.0]),
            ("fc2.count", vec![1], vec![40.0]),
        ]
    }

    fn bytes(entries: &Entries, format: &str) -> Vec<u8> {
        let data: Vec<Vec<u8>> =
            entries.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = entries.iter().zip(&data).map(|((name, shape, _), data)| {
            (name.to_string(), TensorView::new(Dtype::F64, shape.clone(), data).expect("shapes fit"))
        });
        let metadata = HashMap::from([("format".to_string(), format.to_string())]);
        safetensors::serialize(views.collect::<Vec<_>>(), Some(metadata)).expect("serialises")
    }

    #[test]
    fn sites_come_in_natural_order_and_blocks_are_weighed_by_their_counts() {
        let capture = Capture::from_bytes(&bytes(&valid(), "nfa.capture/1")).expect("valid");
        assert_eq!(capture.sites.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["fc2", "fc10"]);
        assert_eq!(capture.samples(), 40.0);
        let site = &capture.sites[1];
        // K = (10 K_1 + 30 K_2) / 40, first entry (1 + 9) / 4; W's first column is e_1.
        assert!((site.agop(None).matrix()[(0, 0)] - 2.5).abs() < 1e-15);
        assert!((site.agop(Some(0)).matrix()[(0, 0)] - 3.0).abs() < 1e-15);
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        let refuse = |change: &dyn Fn(&mut Entries)| {
            let mut entries = valid();
            change(&mut entries);
            Capture::from_bytes(&bytes(&entries, "nfa.capture/1")).expect_err("must be refused").to_string()
        };
        assert!(refuse(&|e| e[1].2[1] = 0.7).contains("fc10.k: block 0 is not symmetric"));
        assert!(refuse(&|e| e[1].2[0] = f64::NAN).contains("fc10.k: entry 0 is not finite"));
        assert!(refuse(&|e| e[2].2[0] = 0.0).contains("fc10.count"));
        assert!(refuse(&|e| e[1].1 = vec![2, 4, 1]).contains("expected [blocks, 2, 2]"));
        assert!(refuse(&|e| drop(e.remove(5))).contains("fc2.count: is required"));
        assert!(refuse(&|e| e[5].0 = "fc2.cuont").contains("unknown entry"));
        let other = Capture::from_bytes(&bytes(&valid(), "nfa.capture/9")).expect_err("must be refused");
        assert!(other.to_string().contains("nfa.capture/9"));
    }
}
