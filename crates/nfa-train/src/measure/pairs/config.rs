//! What a model's `config.json`, a file's notes or a person say of its attention.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::measure::pairs::schemes::{Layout, Positions};
use crate::weights::Checkpoint;

/// What a file says of its heads, or a person.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    /// From `--heads`.
    pub given: Option<usize>,
    /// A model's `config.json`, where one lies beside the weights.
    pub config: Option<Value>,
}

/// The planes in which a head's queries and keys are rotated by their positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turned {
    /// None.
    No,
    /// So much of a head, in planes of halves or neighbours.
    Share(f64, bool),
    /// So many numbers of a head.
    Numbers(usize, bool),
}

const HEADS: [&str; 6] =
    ["num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads", "num_attention_head"];
const GROUPS: [&str; 5] = ["num_key_value_heads", "num_kv_heads", "n_kv_heads", "kv_n_heads", "multi_query_group_num"];

impl Heads {
    /// A number or word of the configuration, also of its part about the text.
    fn value(&self, key: &str) -> Option<&Value> {
        let config = self.config.as_ref()?;
        let parts = ["text_config", "attn_config", "rope_parameters", "rope_scaling"];
        std::iter::once(Some(config)).chain(parts.map(|part| config.get(part))).flatten().find_map(|c| c.get(key))
    }

    fn number(&self, keys: &[&str]) -> Option<usize> {
        keys.iter().find_map(|key| self.value(key)?.as_u64()).and_then(|number| usize::try_from(number).ok())
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)?.as_bool()
    }

    fn model(&self) -> &str {
        self.value("model_type").and_then(Value::as_str).unwrap_or("")
    }

    /// Heads of each block.
    ///
    /// # Errors
    /// Nobody says; a person and the configuration say different numbers.
    pub(super) fn count(&self, checkpoint: &Checkpoint<'_>, name: &str) -> Result<usize> {
        let noted = || HEADS.iter().find_map(|key| checkpoint.notes().get(*key)?.parse().ok());
        let known = self.number(&HEADS).or_else(noted);
        if let (Some(given), Some(known)) = (self.given, known)
            && given != known
        {
            return Err(Error::input(format!(
                "--heads {given}: {}'s config.json says {known}; leave --heads out, or mend the configuration",
                checkpoint.title()
            )));
        }
        self.given.or(known).ok_or_else(|| {
            checkpoint.wrong(format!(
                "{name} belongs to attention, and how many heads it has is not in a file of weights: add --heads N \
                 (or put the model's config.json beside it)"
            ))
        })
    }

    /// Keys and values that heads share, where the configuration says how many there are.
    pub(super) fn groups(&self) -> Option<usize> {
        self.number(&GROUPS)
    }

    /// How a fused map is laid out.
    ///
    /// # Errors
    /// A name that several layouts have, and no configuration that says which.
    pub(super) fn layout(
        &self,
        layout: Layout,
        checkpoint: &Checkpoint<'_>,
        name: &str,
        thirds: bool,
    ) -> Result<Layout> {
        if layout != Layout::Configured {
            return Ok(layout);
        }
        let unknown = |hint: &str| {
            checkpoint.wrong(format!(
                "{name} holds queries, keys and values, and how they are laid out is not in a file of weights: put the \
                 model's config.json beside it (its model_type{hint})"
            ))
        };
        match self.model() {
            "bloom" => Ok(Layout::ByHead),
            "falcon" | "RefinedWeb" | "RefinedWebModel" => Ok(match self.flag("new_decoder_architecture") {
                Some(true) => Layout::Groups,
                _ if self.flag("multi_query").unwrap_or(true) => Layout::Parts,
                _ => Layout::ByHead,
            }),
            "gpt_bigcode" if self.flag("multi_query") == Some(false) => Ok(Layout::ByHead),
            "gpt2" | "gpt_bigcode" | "qwen" | "openai-gpt" | "imagegpt" | "decision_transformer" => Ok(Layout::Parts),
            // GPT-2 and nanoGPT: three equal parts under this name, in every model that has it without a configuration.
            "" if thirds && name.ends_with("c_attn.weight") => Ok(Layout::Parts),
            "" => Err(unknown("")),
            other => Err(unknown(&format!(", and {other} is not known here"))),
        }
    }

    /// How queries and keys are rotated; `conv1d`: whether the map is stored as GPT-2 does.
    ///
    /// # Errors
    /// Nobody says.
    pub(super) fn turned(
        &self,
        positions: Positions,
        checkpoint: &Checkpoint<'_>,
        stem: &str,
        conv1d: bool,
    ) -> Result<Turned> {
        let alibi = self.flag("alibi") == Some(true)
            || self.value("position_embedding_type").is_some_and(|kind| kind == "alibi");
        let share = ["rotary_pct", "partial_rotary_factor", "rotary_percentage", "rotary_emb_fraction"]
            .iter()
            .find_map(|key| self.value(key)?.as_f64());
        let numbers = self.number(&["rotary_dim", "rotary_ndims"]);
        // A buffer of old checkpoints: one frequency for each plane.
        let planes = ["attention.", "self_attn.", ""].iter().find_map(|place| {
            let entry = checkpoint.entry(&format!("{stem}{place}rotary_emb.inv_freq"))?;
            Some(2 * entry.shape.iter().product::<usize>())
        });
        let part = |neighbours: bool| match (numbers, share, planes) {
            (Some(numbers), ..) => Some(Turned::Numbers(numbers, neighbours)),
            (_, Some(share), _) => Some(Turned::Share(share, neighbours)),
            (_, _, Some(planes)) => Some(Turned::Numbers(planes, neighbours)),
            _ => None,
        };
        let unknown = || {
            checkpoint.wrong(format!(
                "{stem}: how its queries and keys know their positions is not in a file of weights: put the model's \
                 config.json beside it (model_type; partial_rotary_factor or rotary_pct)"
            ))
        };
        Ok(match positions {
            _ if alibi => Turned::No,
            Positions::Elsewhere => Turned::No,
            Positions::Halves => part(false).unwrap_or(Turned::Share(1.0, false)),
            Positions::PartOfHalves => part(false).ok_or_else(unknown)?,
            Positions::Neighbours => part(true).unwrap_or(Turned::Share(1.0, true)),
            Positions::Configured => match self.model() {
                "bloom" | "gpt2" | "gpt_bigcode" | "openai-gpt" | "imagegpt" | "decision_transformer" => Turned::No,
                "mpt" if self.flag("rope") != Some(true) => Turned::No,
                "falcon" | "RefinedWeb" | "RefinedWebModel" | "qwen" | "mpt" | "dbrx" => {
                    part(false).unwrap_or(Turned::Share(1.0, false))
                }
                // Seven billion parameters are rotated, thirteen are not.
                "baichuan" if self.number(&["hidden_size"]) == Some(4096) => Turned::Share(1.0, false),
                "baichuan" if self.number(&["hidden_size"]).is_some() => Turned::No,
                // GPT-2, or a table of learned positions.
                "" if conv1d || checkpoint.entries().iter().any(|entry| entry.name.ends_with("wpe.weight")) => {
                    Turned::No
                }
                _ => return Err(unknown()),
            },
        })
    }
}
