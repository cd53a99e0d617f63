//! Pair laws from weights alone: which tensors of a file are two factors of a product.
//!
//! A table of naming schemes finds attention heads and adapters; `nfa_metrics::laws::product` has the law.
//! Adding a scheme is one line.

use nfa_metrics::laws::balance;
use nfa_metrics::{Judged, Mat, ProductPair, Protected, Thresholds, assess};

use crate::array::safetensors::Tensors;
use crate::array::weights::Weights;
use crate::error::{Error, Result};
use crate::measure::measurement::{Imbalance, LayerMeasurement, Measurement, Task};

/// Where a scheme keeps query, key and value.
enum Inner {
    /// Three matrices: the ends of their names.
    Apart([&'static str; 3]),
    /// One, `[3h, d]`, with the end of its bias's name.
    Fused(&'static str, &'static str),
}

/// How the attention of a family of models is named: what follows a block's own name.
struct Scheme {
    inner: Inner,
    output: &'static str,
    /// Whether weights are `[d_in, d_out]`.
    transposed: bool,
    /// Whether queries and keys are rotated by their positions.
    rotary: bool,
}

const SCHEMES: [Scheme; 8] = [
    // LLaMA, Mistral, Qwen2, Gemma.
    apart(
        ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
        "self_attn.o_proj.weight",
        true,
    ),
    // OPT, BART, CLIP, Whisper.
    apart(
        ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
        "self_attn.out_proj.weight",
        false,
    ),
    // BERT, RoBERTa.
    apart(
        ["attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"],
        "attention.output.dense.weight",
        false,
    ),
    // ViT, DeiT of Hugging Face.
    apart(
        ["attention.attention.query.weight", "attention.attention.key.weight", "attention.attention.value.weight"],
        "attention.output.dense.weight",
        false,
    ),
    // T5.
    apart(["Attention.q.weight", "Attention.k.weight", "Attention.v.weight"], "Attention.o.weight", false),
    // GPT-2.
    Scheme {
        inner: Inner::Fused("attn.c_attn.weight", "attn.c_attn.bias"),
        output: "attn.c_proj.weight",
        transposed: true,
        rotary: false,
    },
    // ViT of timm.
    Scheme {
        inner: Inner::Fused("attn.qkv.weight", "attn.qkv.bias"),
        output: "attn.proj.weight",
        transposed: false,
        rotary: false,
    },
    // torch.nn.MultiheadAttention.
    Scheme {
        inner: Inner::Fused("in_proj_weight", "in_proj_bias"),
        output: "out_proj.weight",
        transposed: false,
        rotary: false,
    },
];

const fn apart(names: [&'static str; 3], output: &'static str, rotary: bool) -> Scheme {
    Scheme { inner: Inner::Apart(names), output, transposed: false, rotary }
}

/// The ends of an adapter's names: B is applied after A.
const ADAPTERS: [[&str; 2]; 2] =
    [["lora_A.weight", "lora_B.weight"], ["lora_A.default.weight", "lora_B.default.weight"]];

/// What a file says of its heads, or a person.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    /// From `--heads`.
    pub given: Option<usize>,
    /// A model's `config.json`, where one lies beside the weights.
    pub config: Option<serde_json::Value>,
}

impl Heads {
    fn count(&self, tensors: &Tensors<'_>) -> Option<usize> {
        const KEYS: [&str; 4] = ["num_attention_heads", "n_head", "num_heads", "encoder_attention_heads"];
        let config = || KEYS.iter().find_map(|key| self.config.as_ref()?.get(key)?.as_u64());
        let notes = || KEYS.iter().find_map(|key| tensors.notes().get(*key)?.parse().ok());
        self.given.or_else(|| usize::try_from(config().or_else(notes)?).ok())
    }
}

/// Every product pair of a safetensors file.
///
/// # Errors
/// No known names; heads that are not known, or don't divide a map; shapes that don't fit; numbers
/// that are not finite.
pub fn find(tensors: &Tensors<'_>, title: &str, heads: &Heads) -> Result<Vec<ProductPair>> {
    let file = File { tensors, title };
    let mut found = Vec::new();
    let names: Vec<&str> = tensors.names().collect();
    for name in &names {
        for scheme in &SCHEMES {
            let first = match &scheme.inner {
                Inner::Apart([query, ..]) => query,
                Inner::Fused(all, _) => all,
            };
            let Some(stem) = name.strip_suffix(first) else { continue };
            if names.contains(&format!("{stem}{}", scheme.output).as_str()) {
                let count = heads.count(tensors).ok_or_else(|| {
                    Error::input(format!(
                        "{title}: {name} belongs to attention, and how many heads it has is not in a file of weights: \
                         add --heads N (or put the model's config.json beside it)"
                    ))
                })?;
                found.extend(file.attention(scheme, stem, count)?);
            }
        }
        for [lower, upper] in ADAPTERS {
            let Some(stem) = name.strip_suffix(lower) else { continue };
            let (v, u) = (file.matrix(name)?, file.matrix(&format!("{stem}{upper}"))?);
            if u.ncols() != v.nrows() {
                return Err(Error::input(format!(
                    "{title}: {stem}{upper} reads {} and {name} writes {}",
                    u.ncols(),
                    v.nrows()
                )));
            }
            let name = format!("{}.lora", stem.trim_end_matches('.'));
            found.push(ProductPair { name, upper: u, lower: v, protected: Protected::Whole });
        }
    }
    Ok(found)
}

/// Neighbouring layers of a plain MLP, where the activation between them leaves something.
pub fn of_layers(weights: &Weights, activations: &[nfa_models::Activation]) -> Result<Vec<ProductPair>> {
    let hidden = weights.layers.len().saturating_sub(1);
    let activation = |l: usize| if activations.len() == 1 { activations[0] } else { activations[l] };
    if activations.len() != 1 && activations.len() != hidden {
        return Err(Error::input(format!("--activation lists {} for {hidden} hidden layers", activations.len())));
    }
    let protected = |l: usize| match activation(l) {
        nfa_models::Activation::Linear => Some(Protected::Whole),
        nfa_models::Activation::Relu | nfa_models::Activation::LeakyRelu { .. } => Some(Protected::Units),
        _ => None,
    };
    let pair = |l: usize| {
        let (this, next) = (&weights.layers[l], &weights.layers[l + 1]);
        Some(ProductPair {
            name: format!("{} - {}", this.name, next.name),
            upper: next.weight.clone(),
            lower: with_column(&this.weight, this.bias.as_deref()),
            protected: protected(l)?,
        })
    };
    let pairs: Vec<ProductPair> = (0..hidden).filter_map(pair).collect();
    if pairs.is_empty() {
        return Err(Error::input(
            "--pairs auto: no pair of layers with a conserved balance: it takes linear, relu or leaky_relu between them",
        ));
    }
    Ok(pairs)
}

/// The balance of each pair, as rows of the table.
pub fn measure(pairs: Vec<ProductPair>, title: &str, dtype: &str, thresholds: Thresholds) -> Measurement {
    let law = balance::LAW;
    let mut imbalance = Vec::with_capacity(pairs.len());
    let layers = pairs
        .into_iter()
        .enumerate()
        .map(|(layer, found)| {
            let pair = found.pair();
            let scale = found.upper.squared_norm_l2().max(found.lower.squared_norm_l2());
            let frobenius = found.imbalance().norm_l2();
            imbalance.push(Imbalance { layer, frobenius, relative: frobenius / scale });
            LayerMeasurement {
                layer,
                d_in: found.lower.nrows(),
                name: found.name,
                d_out: None,
                depth_from_here: None,
                last: false,
                laws: vec![Judged { law, layer, finding: assess(&pair, law.family, None, &thresholds), details: None }],
                weight: None,
                matrices: None,
            }
        })
        .collect();
    Measurement {
        title: title.into(),
        samples: None,
        dtype: dtype.into(),
        device: "host".into(),
        source: "weights",
        capture: None,
        task: Task::default(),
        layers,
        imbalance,
        thresholds,
    }
}

/// [W b]: a bias reads the constant 1.
fn with_column(weight: &Mat, bias: Option<&[f64]>) -> Mat {
    let (rows, cols) = (weight.nrows(), weight.ncols());
    match bias {
        None => weight.clone(),
        Some(bias) => Mat::from_fn(rows, cols + 1, |i, j| if j < cols { weight[(i, j)] } else { bias[i] }),
    }
}

struct File<'a, 'b> {
    tensors: &'a Tensors<'b>,
    title: &'a str,
}

impl File<'_, '_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.names().any(|known| known == name)
    }

    fn values(&self, name: &str) -> Result<crate::array::Array> {
        let wrong = |error: crate::array::ArrayError| Error::input(format!("{}: {error}", self.title));
        let array = self.tensors.array(name).map_err(wrong)?;
        crate::array::check_finite(&array).map_err(|error| Error::input(format!("{}: {name}: {error}", self.title)))?;
        Ok(array)
    }

    fn matrix(&self, name: &str) -> Result<Mat> {
        let array = self.values(name)?;
        match array.shape[..] {
            [rows, cols] if rows > 0 && cols > 0 => Ok(Mat::from_fn(rows, cols, |i, j| array.values[i * cols + j])),
            _ => Err(Error::input(format!("{}: {name} has shape {:?}, expected a matrix", self.title, array.shape))),
        }
    }

    /// A map of a scheme as `[d_out, d_in (+ 1)]`, its bias a column.
    fn map(&self, name: &str, bias: Option<String>, transposed: bool) -> Result<Mat> {
        let stored = self.matrix(name)?;
        let weight = if transposed { stored.transpose().to_owned() } else { stored };
        let Some(bias) = bias.filter(|bias| self.has(bias)) else { return Ok(weight) };
        let values = self.values(&bias)?;
        if values.shape != [weight.nrows()] {
            return Err(Error::input(format!(
                "{}: {bias} has shape {:?}, {name} {} outputs",
                self.title,
                values.shape,
                weight.nrows()
            )));
        }
        Ok(with_column(&weight, Some(&values.values)))
    }

    /// The pairs of one attention block.
    fn attention(&self, scheme: &Scheme, stem: &str, heads: usize) -> Result<Vec<ProductPair>> {
        let [query, key, value] = match &scheme.inner {
            Inner::Apart(names) => {
                let map = |name: &str| {
                    let bias = name.strip_suffix("weight").map(|end| format!("{stem}{end}bias"));
                    self.map(&format!("{stem}{name}"), bias, scheme.transposed)
                };
                [map(names[0])?, map(names[1])?, map(names[2])?]
            }
            Inner::Fused(name, bias) => {
                let all = self.map(&format!("{stem}{name}"), Some(format!("{stem}{bias}")), scheme.transposed)?;
                if all.nrows() % 3 != 0 {
                    return Err(self.shape(&format!("{stem}{name}"), "has outputs that are no three equal parts"));
                }
                let third = all.nrows() / 3;
                [0, 1, 2].map(|part| all.subrows(part * third, third).to_owned())
            }
        };
        // Only what leaves the heads: an output's bias is behind the product.
        let output = self.map(&format!("{stem}{}", scheme.output), None, scheme.transposed)?;
        let block = stem.trim_end_matches('.');
        let block = if block.is_empty() { "attention" } else { block };
        if heads == 0 || query.nrows() % heads != 0 {
            return Err(self.shape(block, &format!("{} query outputs are no {heads} heads", query.nrows())));
        }
        let h = query.nrows() / heads;
        if key.nrows() != value.nrows()
            || !key.nrows().is_multiple_of(h)
            || !heads.is_multiple_of((key.nrows() / h).max(1))
        {
            let (k, v) = (key.nrows(), value.nrows());
            return Err(
                self.shape(block, &format!("keys [{k}] and values [{v}] are no heads of {h} that {heads} share"))
            );
        }
        if output.ncols() != query.nrows() {
            return Err(
                self.shape(block, &format!("the output reads {}, the heads write {}", output.ncols(), query.nrows()))
            );
        }
        let groups = key.nrows() / h;
        let shared = heads / groups;
        // Normalised queries or keys: scores are no function of the product.
        let normalised =
            ["self_attn.q_norm.weight", "self_attn.k_norm.weight"].iter().any(|n| self.has(&format!("{stem}{n}")));
        let mut pairs = Vec::new();
        for group in 0..groups {
            let place = if shared == 1 { format!("head{group}") } else { format!("group{group}") };
            let of = group * shared * h;
            // Heads that share a value: their outputs stack.
            let upper = Mat::from_fn(output.nrows() * shared, h, |i, j| {
                output[(i % output.nrows(), of + (i / output.nrows()) * h + j)]
            });
            let lower = value.subrows(group * h, h).to_owned();
            let name = format!("{block}.value_output.{place}");
            pairs.push(ProductPair { name, upper, lower, protected: Protected::Whole });
            if normalised {
                continue;
            }
            let queries = Mat::from_fn(query.ncols() * shared, h, |i, j| {
                query[(of + (i / query.ncols()) * h + j, i % query.ncols())]
            });
            let (name, protected) = match scheme.rotary {
                false => (format!("{block}.query_key.{place}"), Protected::Whole),
                true => (format!("{block}.query_key.{place} (rotary part)"), Protected::RotaryPlanes),
            };
            if protected == Protected::RotaryPlanes && h % 2 == 1 {
                return Err(self.shape(block, &format!("rotary heads of odd size {h}; is --heads right?")));
            }
            pairs.push(ProductPair { name, upper: queries, lower: key.subrows(group * h, h).to_owned(), protected });
        }
        Ok(pairs)
    }

    fn shape(&self, place: &str, what: &str) -> Error {
        Error::input(format!("{}: {place}: {what}; --heads says how many there are", self.title))
    }
}
