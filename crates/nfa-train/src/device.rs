//! From a name on the command line to a Burn device: one arm and one Cargo feature per backend.

use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A backend that may be compiled in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Backend {
    /// Its name, and that of its Cargo feature.
    pub name: &'static str,
    /// What it runs on.
    pub doc: &'static str,
    /// Whether this binary has it.
    pub compiled: bool,
    /// Whether it computes in `f64`.
    pub f64: bool,
    /// Whether `name:1` selects a second card.
    pub indexed: bool,
}

/// Every backend, compiled in or not.
pub const BACKENDS: [Backend; 5] = [
    Backend { name: "flex", doc: "CPU (Burn's flex)", compiled: cfg!(feature = "flex"), f64: true, indexed: false },
    Backend {
        name: "ndarray",
        doc: "CPU (ndarray, for comparison)",
        compiled: cfg!(feature = "ndarray"),
        f64: true,
        indexed: false,
    },
    Backend {
        name: "wgpu",
        doc: "GPU through WGSL (Vulkan, Metal, DirectX)",
        compiled: cfg!(feature = "wgpu"),
        f64: false,
        indexed: true,
    },
    Backend {
        name: "vulkan",
        doc: "GPU through SPIR-V",
        compiled: cfg!(feature = "vulkan"),
        f64: false,
        indexed: true,
    },
    Backend { name: "cuda", doc: "NVIDIA GPU", compiled: cfg!(feature = "cuda"), f64: true, indexed: true },
];

/// What a network is trained in. Metrics are `f64` on the host either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl Dtype {
    /// Burn's name for it.
    pub fn burn(self) -> DType {
        match self {
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
        }
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
        }
    }
}

/// The backend and the index that a name selects.
fn parse(name: &str) -> Result<(Backend, usize)> {
    let (kind, index) = name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index)));
    let Some(backend) = BACKENDS.into_iter().find(|backend| backend.name == kind) else {
        let known = BACKENDS.map(|backend| backend.name);
        let hint =
            nfa_models::spec::closest(kind, known).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        return Err(Error::input(format!("device: unknown device `{name}`; known: {}{hint}", known.join(", "))));
    };
    let index = match index {
        None => 0,
        Some(index) if backend.indexed => index
            .parse()
            .map_err(|_| Error::input(format!("device: `{index}` in `{name}` is no index; write `{kind}:0`")))?,
        Some(_) => return Err(Error::input(format!("device: `{kind}` takes no index; write `{kind}`"))),
    };
    Ok((backend, index))
}

/// The command that compiles a backend in; a crate of one's own names the feature with its package.
pub fn build_with(feature: &str) -> String {
    match crate::cli::program().as_str() {
        "nfa-train" => format!("cargo run --release -p nfa-train --features {feature}"),
        _ => format!("cargo run --release --features nfa-train/{feature}"),
    }
}

/// Checks a device name and a dtype without starting anything.
///
/// # Errors
/// An unknown device, one that is not compiled in (with the feature that adds it), or `f64` where
/// the backend has none.
pub fn check(name: &str, dtype: Dtype) -> Result<()> {
    let (backend, _) = parse(name)?;
    if !backend.compiled {
        return Err(Error::input(format!(
            "device: `{name}` is not compiled into this binary; build it in with `{}`, or use --device flex",
            build_with(backend.name)
        )));
    }
    if dtype == Dtype::F64 && !backend.f64 {
        return Err(Error::input(format!(
            "device: `{name}` does not compute correctly in f64; add --dtype f32 (metrics stay in f64 on the host), or use --device flex"
        )));
    }
    Ok(())
}

/// The device of a name.
///
/// # Errors
/// As [`check`].
pub fn open(name: &str, dtype: Dtype) -> Result<Device> {
    check(name, dtype)?;
    let (backend, index) = parse(name)?;
    let _ = index;
    match backend.name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            #[allow(deprecated)] // it stays for comparison while Burn has it
            let device = Device::ndarray();
            Ok(device)
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(kind(index))),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(kind(index))),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(index)),
        // `check` has refused what is not compiled in.
        other => Err(Error::input(format!("device: `{other}` is not compiled into this binary"))),
    }
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn kind(index: usize) -> burn::tensor::DeviceKind {
    match index {
        0 => burn::tensor::DeviceKind::DefaultDevice,
        index => burn::tensor::DeviceKind::DiscreteGpu(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_way_out() {
        let refusal = |name, dtype| check(name, dtype).expect_err("must be refused").to_string();
        assert!(refusal("felx", Dtype::F64).contains("did you mean `flex`"));
        assert!(refusal("flex:1", Dtype::F64).contains("takes no index"));
        if !cfg!(feature = "cuda") {
            assert!(refusal("cuda:0", Dtype::F32).contains("--features nfa-train/cuda"));
        }
        assert!(check("flex", Dtype::F64).is_ok());
    }
}
