//! How the attention of families of models is named and laid out: one line each.

/// Where a scheme keeps query, key and value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inner {
    /// Three matrices: the ends of their names.
    Apart([&'static str; 3]),
    /// One: the end of its name, and how its rows are laid out.
    Fused(&'static str, Layout),
}

/// The rows of a fused map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// All of the queries, as many as the output reads, then all keys, then all values.
    Parts,
    /// For each head its query, key and value.
    ByHead,
    /// For each group of heads their queries, then the key and value that they share.
    Groups,
    /// One name and several layouts: the model's configuration says which.
    Configured,
}

/// How positions come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Positions {
    /// Not between query and key.
    Elsewhere,
    /// Planes (i, i + r/2) of the first r numbers of a head are rotated: all of them unless the configuration says less.
    Halves,
    /// The same, and how many is for the configuration alone to say.
    PartOfHalves,
    /// Planes (2i, 2i + 1).
    Neighbours,
    /// As the layout: for the configuration to say.
    Configured,
}

/// How the attention of a family of models is named: what follows a block's own name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheme {
    pub(super) inner: Inner,
    pub(super) output: &'static str,
    pub(super) positions: Positions,
}

impl Scheme {
    /// The ends of the names of its matrices.
    pub(super) fn members(&self) -> Vec<&'static str> {
        match self.inner {
            Inner::Apart([q, k, v]) => vec![q, k, v, self.output],
            Inner::Fused(all, ..) => vec![all, self.output],
        }
    }
}

use Inner::{Apart, Fused};
use Layout::{ByHead, Configured, Groups, Parts};

const fn scheme(inner: Inner, output: &'static str, positions: Positions) -> Scheme {
    Scheme { inner, output, positions }
}

const SELF: [&str; 3] = ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"];
const BERT: [&str; 3] = ["attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight"];
const VIT: [&str; 3] =
    ["attention.attention.query.weight", "attention.attention.key.weight", "attention.attention.value.weight"];
const CROSS: [&str; 3] = ["encoder_attn.q_proj.weight", "encoder_attn.k_proj.weight", "encoder_attn.v_proj.weight"];
const BERT_CROSS: [&str; 3] =
    ["crossattention.self.query.weight", "crossattention.self.key.weight", "crossattention.self.value.weight"];
const T5: [&str; 3] = ["SelfAttention.q.weight", "SelfAttention.k.weight", "SelfAttention.v.weight"];
const T5_CROSS: [&str; 3] = ["EncDecAttention.q.weight", "EncDecAttention.k.weight", "EncDecAttention.v.weight"];
const META: [&str; 3] = ["attention.wq.weight", "attention.wk.weight", "attention.wv.weight"];
const GPT_J: [&str; 3] = ["attn.q_proj.weight", "attn.k_proj.weight", "attn.v_proj.weight"];
const DIFFUSERS: [&str; 3] = ["to_q.weight", "to_k.weight", "to_v.weight"];
const DISTIL: [&str; 3] = ["attention.q_lin.weight", "attention.k_lin.weight", "attention.v_lin.weight"];

#[rustfmt::skip]
pub(super) const SCHEMES: [Scheme; 25] = [
    // LLaMA, Mistral, Qwen2, Gemma, StableLM.
    scheme(Apart(SELF), "self_attn.o_proj.weight", Positions::Halves),
    // OPT, BART, CLIP, Whisper.
    scheme(Apart(SELF), "self_attn.out_proj.weight", Positions::Elsewhere),
    // The decoder's look at the encoder in BART, Whisper.
    scheme(Apart(CROSS), "encoder_attn.out_proj.weight", Positions::Elsewhere),
    // Phi-1 and 2.
    scheme(Apart(SELF), "self_attn.dense.weight", Positions::PartOfHalves),
    // BERT, RoBERTa.
    scheme(Apart(BERT), "attention.output.dense.weight", Positions::Elsewhere),
    // A BERT that looks at an encoder.
    scheme(Apart(BERT_CROSS), "crossattention.output.dense.weight", Positions::Elsewhere),
    // ViT, DeiT of Hugging Face.
    scheme(Apart(VIT), "attention.output.dense.weight", Positions::Elsewhere),
    // DistilBERT.
    scheme(Apart(DISTIL), "attention.out_lin.weight", Positions::Elsewhere),
    // T5.
    scheme(Apart(T5), "SelfAttention.o.weight", Positions::Elsewhere),
    scheme(Apart(T5_CROSS), "EncDecAttention.o.weight", Positions::Elsewhere),
    // LLaMA as Meta publishes it.
    scheme(Apart(META), "attention.wo.weight", Positions::Neighbours),
    // GPT-J.
    scheme(Apart(GPT_J), "attn.out_proj.weight", Positions::Neighbours),
    // Stable Diffusion's U-Nets.
    scheme(Apart(DIFFUSERS), "to_out.0.weight", Positions::Elsewhere),
    // GPT-2, GPT-BigCode, Qwen-1.
    scheme(Fused("attn.c_attn.weight", Configured), "attn.c_proj.weight", Positions::Configured),
    // ViT of timm.
    scheme(Fused("attn.qkv.weight", Parts), "attn.proj.weight", Positions::Elsewhere),
    // torch.nn.MultiheadAttention.
    scheme(Fused("in_proj_weight", Parts), "out_proj.weight", Positions::Elsewhere),
    // GPT-NeoX, Pythia.
    scheme(Fused("attention.query_key_value.weight", ByHead), "attention.dense.weight", Positions::PartOfHalves),
    // BLOOM, Falcon.
    scheme(Fused("self_attention.query_key_value.weight", Configured), "self_attention.dense.weight", Positions::Configured),
    // Persimmon.
    scheme(Fused("self_attn.query_key_value.weight", ByHead), "self_attn.dense.weight", Positions::PartOfHalves),
    // Phi-3, vLLM's LLaMA.
    scheme(Fused("self_attn.qkv_proj.weight", Parts), "self_attn.o_proj.weight", Positions::Halves),
    // Baichuan.
    scheme(Fused("self_attn.W_pack.weight", Parts), "self_attn.o_proj.weight", Positions::Configured),
    // InternLM2.
    scheme(Fused("attention.wqkv.weight", Groups), "attention.wo.weight", Positions::Halves),
    // MPT.
    scheme(Fused("attn.Wqkv.weight", Parts), "attn.out_proj.weight", Positions::Configured),
    // Phi before it came to Hugging Face.
    scheme(Fused("mixer.Wqkv.weight", Parts), "mixer.out_proj.weight", Positions::PartOfHalves),
    // DBRX.
    scheme(Fused("attn.Wqkv.weight", Parts), "attn.o_proj.weight", Positions::Configured),
];
