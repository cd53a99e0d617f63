//! The pairs of attention blocks: value and output, query and key, of each head.

use std::collections::BTreeSet;

use nfa_metrics::{Mat, ProductPair, Protected};

use crate::error::{Error, Result};
use crate::measure::pairs::adapters::Adapter;
use crate::measure::pairs::column::with_column;
use crate::measure::pairs::config::{Heads, Turned};
use crate::measure::pairs::schemes::{Inner, Layout, SCHEMES, Scheme};
use crate::weights::Checkpoint;
use crate::weights::layers::is_conv1d;
use crate::weights::names::{bare, module};
use crate::weights::stored::Stored;

/// An attention block of a file, not yet read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    /// What its tensors' names begin with.
    stem: &'a str,
    scheme: &'static Scheme,
}

/// What a block gave.
pub(super) struct Found {
    pub(super) pairs: Vec<ProductPair>,
    /// What is no row, and why.
    pub(super) notes: Vec<String>,
}

/// The blocks of a file, in the order of their names.
///
/// # Errors
/// A block that is there in part.
pub(super) fn blocks<'a>(checkpoint: &'a Checkpoint<'_>) -> Result<Vec<Block<'a>>> {
    let names: BTreeSet<&str> = checkpoint.entries().iter().map(|entry| entry.name.as_str()).collect();
    let (mut found, mut covered): (Vec<Block<'a>>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
    // What a block has of a scheme where something is missing.
    let mut partial: Vec<(Block<'a>, Vec<&str>)> = Vec::new();
    for entry in checkpoint.entries() {
        for scheme in &SCHEMES {
            let members = scheme.members();
            let stem = members.iter().find_map(|member| entry.name.strip_suffix(member));
            let Some(stem) = stem.filter(|stem| stem.is_empty() || stem.ends_with(['.', '/'])) else { continue };
            let block = Block { stem, scheme };
            let there: Vec<&str> =
                members.iter().filter_map(|member| names.get(format!("{stem}{member}").as_str()).copied()).collect();
            if there.len() < members.len() {
                partial.push((block, there));
            } else if there[0] == entry.name {
                covered.extend(there);
                found.push(block);
            }
        }
    }
    // Names that several schemes share belong to the one that is there as a whole.
    partial.retain(|(_, there)| !there.iter().all(|name| covered.contains(name)));
    // Of as many the scheme that comes first.
    match partial.into_iter().rev().max_by_key(|(_, there)| there.len()) {
        Some((block, there)) => Err(block.incomplete(checkpoint, &there)),
        None => Ok(found),
    }
}

impl Block<'_> {
    /// The block's name; a look at another sequence stands beside a look at the own one.
    fn name(&self) -> String {
        let own = self.scheme.output.split('.').next().unwrap_or("");
        let crossed = ["encoder_attn", "crossattention", "EncDecAttention"].contains(&own);
        let name = if crossed { format!("{}{own}", self.stem) } else { self.stem.to_string() };
        let name = name.trim_end_matches(['.', '/']);
        if name.is_empty() { "attention".into() } else { name.into() }
    }

    fn incomplete(&self, checkpoint: &Checkpoint<'_>, there: &[&str]) -> Error {
        let missing: Vec<String> = self.scheme.members().iter().map(|end| format!("{}{end}", self.stem)).collect();
        let missing: Vec<&String> = missing.iter().filter(|name| !there.contains(&name.as_str())).collect();
        // Stored as something else, such as what adapters or quantisation leave.
        let kept = missing.iter().find(|name| {
            module(name).is_some_and(|stem| checkpoint.entries().iter().any(|entry| entry.name.starts_with(stem)))
        });
        if let Some(Err(error)) = kept.map(|name| Stored::of(checkpoint, name)) {
            return error;
        }
        let missing = missing.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        checkpoint.wrong(format!(
            "{} is part of an attention block, of which {missing} is not here: in another file? Give the list of all files \
             (model.safetensors.index.json) or their folder",
            there.first().copied().unwrap_or(self.stem),
        ))
    }

    /// A map as `[d_out, d_in (+ 1)]`, its bias a column.
    fn map(
        &self,
        checkpoint: &Checkpoint<'_>,
        adapters: &[Adapter],
        end: &str,
        turned: bool,
        bias: bool,
    ) -> Result<Mat> {
        let key = format!("{}{end}", self.stem);
        let own =
            |adapter: &&Adapter| module(&key).is_some_and(|stem| bare(stem) == bare(&format!("{}.", adapter.stem)));
        if let Some(adapter) = adapters.iter().find(own) {
            return Err(checkpoint.wrong(format!(
                "{} beside {key} is an adapter that is not merged: the network applies both; merge it (peft: \
                 merge_and_unload) and save again, or measure the adapter's file alone",
                adapter.lower
            )));
        }
        let stored = Stored::of(checkpoint, &key)?;
        let matrix = stored.matrix(checkpoint)?;
        let weight = if turned { matrix.transpose().to_owned() } else { matrix };
        let bias = if bias { stored.bias(checkpoint, weight.nrows())? } else { None };
        Ok(with_column(&weight, bias.as_deref()))
    }

    /// The block's pairs.
    ///
    /// # Errors
    /// Heads or a layout that nobody says; shapes that don't fit them; weights that are not what the network applies.
    pub(super) fn pairs(&self, checkpoint: &Checkpoint<'_>, heads: &Heads, adapters: &[Adapter]) -> Result<Found> {
        let (scheme, stem) = (self.scheme, self.stem);
        let first = format!("{stem}{}", scheme.members()[0]);
        let count = heads.count(checkpoint, &first)?;
        let conv1d = self.is_conv1d(checkpoint, &first);
        // Only what leaves the heads: an output's bias is behind the product.
        let output = self.map(checkpoint, adapters, scheme.output, conv1d, false)?;
        let [query, key, value] = match scheme.inner {
            Inner::Apart([q, k, v]) => [
                self.map(checkpoint, adapters, q, conv1d, true)?,
                self.map(checkpoint, adapters, k, conv1d, true)?,
                self.map(checkpoint, adapters, v, conv1d, true)?,
            ],
            Inner::Fused(all, layout) => {
                let all = self.map(checkpoint, adapters, all, conv1d, true)?;
                let thirds = all.nrows() == 3 * output.ncols();
                let layout = heads.layout(layout, checkpoint, &first, thirds)?;
                self.apart(checkpoint, &all, layout, (count, heads.groups()), output.ncols())?
            }
        };
        let [h, groups] = self.sizes(checkpoint, count, heads.groups(), [&query, &key, &value, &output])?;
        let turned = heads.turned(scheme.positions, checkpoint, stem, conv1d)?;
        let protected = self.protected(checkpoint, turned, h)?;
        // Normalised queries or keys: scores are no function of the product.
        let norms = checkpoint.entries().iter().find(|entry| {
            let rest = entry.name.strip_prefix(stem).unwrap_or("");
            ["q_norm.", "k_norm.", "norm_q.", "norm_k.", "q_layernorm.", "k_layernorm.", "q_ln.", "k_ln."]
                .iter()
                .any(|norm| rest.contains(norm))
        });
        let (name, shared) = (self.name(), count / groups);
        let mut found = Found { pairs: Vec::new(), notes: Vec::new() };
        for group in 0..groups {
            let place = if shared == 1 { format!("head{group}") } else { format!("group{group}") };
            let of = group * shared * h;
            // Heads that share a value: their outputs stack.
            let upper = Mat::from_fn(output.nrows() * shared, h, |i, j| {
                output[(i % output.nrows(), of + (i / output.nrows()) * h + j)]
            });
            let lower = value.subrows(group * h, h).to_owned();
            let own = format!("{name}.value_output.{place}");
            found.pairs.push(ProductPair { name: own, upper, lower, protected: Protected::Whole });
            if norms.is_some() {
                continue;
            }
            let upper = Mat::from_fn(query.ncols() * shared, h, |i, j| {
                query[(of + (i / query.ncols()) * h + j, i % query.ncols())]
            });
            let part = if protected == Protected::Whole { "" } else { " (rotary part)" };
            let own = format!("{name}.query_key.{place}{part}");
            found.pairs.push(ProductPair { name: own, upper, lower: key.subrows(group * h, h).to_owned(), protected });
        }
        if let Some(norm) = norms {
            found.notes.push(format!(
                "{name}.query_key: queries or keys are normalised ({}), so it has no balance",
                norm.name
            ));
        }
        Ok(found)
    }

    /// Whether the block is stored as GPT-2 of Hugging Face does: three times as wide as high.
    fn is_conv1d(&self, checkpoint: &Checkpoint<'_>, first: &str) -> bool {
        let shape = checkpoint.entry(first).map(|entry| entry.shape.clone()).unwrap_or_default();
        is_conv1d(first) && shape.len() == 2 && shape[1] > shape[0]
    }

    /// Queries, keys and values of a fused map.
    fn apart(
        &self,
        checkpoint: &Checkpoint<'_>,
        all: &Mat,
        layout: Layout,
        (heads, groups): (usize, Option<usize>),
        width: usize,
    ) -> Result<[Mat; 3]> {
        let rows = all.nrows();
        let take = |places: Vec<usize>| Mat::from_fn(places.len(), all.ncols(), |i, j| all[(places[i], j)]);
        let wrong = |what: String| Err(self.shape(checkpoint, &what));
        if heads == 0 || !width.is_multiple_of(heads) {
            return wrong(format!("{width} numbers that the output reads are no {heads} heads"));
        }
        let h = width / heads;
        let run = |start: usize, count: usize| start..start + count;
        match layout {
            Layout::Parts => match rows.checked_sub(width) {
                Some(rest) if rest > 0 && rest.is_multiple_of(2 * h) => {
                    let kv = rest / 2;
                    Ok([
                        take(run(0, width).collect()),
                        take(run(width, kv).collect()),
                        take(run(width + kv, kv).collect()),
                    ])
                }
                _ => wrong(format!("{rows} rows are not {width} queries and as many keys as values, of heads of {h}")),
            },
            Layout::ByHead | Layout::Groups => {
                let groups = match (layout, groups) {
                    (Layout::ByHead, _) => heads,
                    (_, Some(groups)) if groups > 0 && heads.is_multiple_of(groups) => groups,
                    (_, Some(groups)) => return wrong(format!("{groups} groups don't share {heads} heads")),
                    (_, None) => {
                        return Err(checkpoint.wrong(format!(
                            "{}: how many heads share a key is not in a file of weights: put the model's config.json \
                             beside it (num_key_value_heads)",
                            self.name()
                        )));
                    }
                };
                let each = heads / groups;
                if rows != groups * (each + 2) * h {
                    return wrong(format!(
                        "{rows} rows are not {groups} times {each} queries, a key and a value of {h}"
                    ));
                }
                let part = |from: usize, count: usize| {
                    (0..groups).flat_map(|group| run((group * (each + 2) + from) * h, count * h)).collect::<Vec<_>>()
                };
                Ok([take(part(0, each)), take(part(each, 1)), take(part(each + 1, 1))])
            }
            Layout::Configured => wrong("a layout that nobody says".into()),
        }
    }

    /// The size of a head, and how many keys and values there are.
    fn sizes(
        &self,
        checkpoint: &Checkpoint<'_>,
        heads: usize,
        said: Option<usize>,
        [query, key, value, output]: [&Mat; 4],
    ) -> Result<[usize; 2]> {
        let wrong = |what: String| Err(self.shape(checkpoint, &what));
        if heads == 0 || query.nrows() % heads != 0 {
            return wrong(format!("{} query outputs are no {heads} heads", query.nrows()));
        }
        let h = query.nrows() / heads;
        let groups = key.nrows() / h;
        if key.nrows() != value.nrows() || !key.nrows().is_multiple_of(h) || !heads.is_multiple_of(groups.max(1)) {
            let (k, v) = (key.nrows(), value.nrows());
            return wrong(format!("keys [{k}] and values [{v}] are no heads of {h} that {heads} share"));
        }
        if output.ncols() != query.nrows() {
            return wrong(format!("the output reads {}, the heads write {}", output.ncols(), query.nrows()));
        }
        match (said, &self.scheme.inner) {
            // Of fused maps the layout says it.
            (Some(said), Inner::Apart(_)) if said != groups => {
                wrong(format!("config.json says {said} keys and values, the weights have {groups}"))
            }
            _ => Ok([h, groups]),
        }
    }

    fn protected(&self, checkpoint: &Checkpoint<'_>, turned: Turned, h: usize) -> Result<Protected> {
        let (rotated, neighbours) = match turned {
            Turned::No => return Ok(Protected::Whole),
            Turned::Share(share, neighbours) => ((share * h as f64) as usize, neighbours),
            Turned::Numbers(numbers, neighbours) => (numbers, neighbours),
        };
        if rotated == 0 {
            return Ok(Protected::Whole);
        }
        if rotated > h || rotated % 2 == 1 {
            return Err(self.shape(checkpoint, &format!("{rotated} rotated numbers of heads of {h} are no planes")));
        }
        Ok(Protected::Rotary { rotated, neighbours })
    }

    fn shape(&self, checkpoint: &Checkpoint<'_>, what: &str) -> Error {
        checkpoint.wrong(format!("{}: {what}; --heads says how many heads there are", self.name()))
    }
}
