//! What names of tensors say.

/// The parts of a name.
pub fn parts(name: &str) -> Vec<&str> {
    name.split(['.', '/']).collect()
}

/// The words of a name, in small letters.
pub fn words(name: &str) -> Vec<String> {
    name.split(['.', '/', '_', ':']).map(str::to_ascii_lowercase).collect()
}

/// A name without what wrappers put around a network or a part of it: `torch.compile`, data parallelism, Hugging Face,
/// peft.
pub fn bare(name: &str) -> String {
    const WRAPPERS: [&str; 4] = ["_orig_mod", "module", "model", "base_model"];
    let parts = parts(name);
    let (last, around) = parts.split_last().unwrap_or((&name, &[]));
    around.iter().filter(|part| !WRAPPERS.contains(part)).chain([last]).copied().collect::<Vec<_>>().join(".")
}

/// A name without its number: `fc12` is `fc`.
pub fn unnumbered(part: &str) -> &str {
    part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '-')
}

/// Whether two parts differ in their numbers alone, as `layer1` and `layer2` do.
pub fn are_numbered(a: &str, b: &str) -> bool {
    let plain = |part: &str| part.split(|c: char| c.is_ascii_digit()).filter(|s| !s.is_empty()).collect::<String>();
    let numbers = |part: &str| part.chars().any(|c| c.is_ascii_digit());
    numbers(a) && numbers(b) && plain(a) == plain(b)
}

/// How weights end in PyTorch, and in Flax and Keras.
const ENDS: [&str; 2] = ["weight", "kernel"];

/// The module of a weight, with its last separator: `fc1.` of `fc1.weight`.
pub fn module(key: &str) -> Option<&str> {
    let key = key.strip_suffix(":0").unwrap_or(key);
    let stem = ENDS.iter().find_map(|end| key.strip_suffix(end))?;
    // What an adapter wraps belongs to the whole.
    let stem = stem.strip_suffix("base_layer.").unwrap_or(stem);
    (stem.ends_with(['.', '/'])).then_some(stem)
}

/// Whether the matrix is stored as `[d_in, d_out]`, as Flax and Keras do.
pub fn is_kernel(key: &str) -> bool {
    parts(key).last().is_some_and(|last| *last == "kernel" || *last == "kernel:0")
}

/// Where a weight's bias stands: `fc1.bias` for `fc1.weight`, `b1` for `W1`.
pub fn biases(key: &str) -> Vec<String> {
    if let Some(stem) = key.strip_suffix("weight") {
        return vec![format!("{stem}bias")];
    }
    if is_kernel(key) {
        return vec![key.replace("kernel", "bias")];
    }
    let last = parts(key).last().copied().unwrap_or("");
    let numbered = ["W", "w"].iter().find_map(|w| last.strip_prefix(w));
    let short = numbered.filter(|number| number.chars().all(|c| c.is_ascii_digit() || c == '_'));
    let short = short.map(|number| format!("{}b{number}", &key[..key.len() - last.len()]));
    [format!("{key}.bias"), format!("{key}_bias")].into_iter().chain(short).collect()
}

/// What modules of dense layers, and matrices without modules, are called.
const LAYERS: [&str; 22] = [
    "weight", "weights", "kernel", "w", "fc", "lin", "linear", "dense", "layer", "layers", "arr", "matrix", "proj",
    "head", "hidden", "input", "output", "in", "out", "encoder", "decoder", "block",
];
/// Tables of which a row is taken: no map of numbers.
const TABLES: [&str; 9] = ["emb", "embed", "embedding", "embeddings", "wte", "wpe", "pos", "position", "embeds"];

/// Whether a matrix of this name is a layer.
pub fn is_layer(key: &str) -> bool {
    let last = parts(key).last().copied().unwrap_or("").to_ascii_lowercase();
    let last = last.strip_suffix(":0").unwrap_or(&last);
    let plain = unnumbered(last);
    // `0`, `1`: nothing but a place.
    (plain.is_empty() || LAYERS.contains(&plain)) && !words(key).iter().any(|word| TABLES.contains(&word.as_str()))
}

/// Counters, buffers that follow from sizes, states of optimisers: the network's function is the same without them.
pub fn is_harmless(key: &str) -> bool {
    const ENDS: [&str; 9] = [
        "num_batches_tracked",
        "position_ids",
        "token_type_ids",
        "inv_freq",
        "masked_bias",
        "weight_format",
        "step",
        "global_step",
        "epoch",
    ];
    const OWNERS: [&str; 7] =
        ["optimizer", "optimizers", "optim", "opt_state", "optimizer_state", "scheduler", "lr_scheduler"];
    const STATES: [&str; 5] = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg"];
    let parts = parts(key);
    let last = parts.last().copied().unwrap_or("");
    ENDS.contains(&last) || STATES.contains(&last) || parts.iter().any(|part| OWNERS.contains(part))
}
