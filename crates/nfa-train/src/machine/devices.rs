//! From a name on the command line to a Burn device: one arm and one Cargo feature per backend.

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
use burn::tensor::DeviceKind;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
use burn::tensor::DeviceType;
#[cfg(feature = "burn")]
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
    /// Whether `name:1` selects a second card, in the order of [`Backend::cards`].
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
    #[cfg(feature = "burn")]
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

/// A device that a backend finds on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    /// What `--device` takes: `wgpu:0`.
    pub device: String,
    /// What its driver calls it, or why it does not start; `None` for the processor.
    pub name: Option<String>,
}

impl Backend {
    /// Nothing: no backend is compiled in.
    #[cfg(not(feature = "burn"))]
    pub fn cards(self) -> Vec<Card> {
        Vec::new()
    }

    /// What it finds on this machine, in the order of its indices: nothing where it is not compiled
    /// in, or where no driver answers. Starts each.
    #[cfg(feature = "burn")]
    pub fn cards(self) -> Vec<Card> {
        let card = |(index, device): (usize, Device)| match self.indexed {
            false => Card { device: self.name.into(), name: None },
            true => Card {
                device: format!("{}:{index}", self.name),
                name: Some(start(&device).unwrap_or_else(|why| format!("does not start: {why}"))),
            },
        };
        found(self.name).into_iter().enumerate().map(card).collect()
    }
}

/// The backend and the index that a name selects; without one, the best that there is.
fn parse(name: &str) -> Result<(Backend, Option<usize>)> {
    let (kind, index) = name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index)));
    let Some(backend) = BACKENDS.into_iter().find(|backend| backend.name == kind) else {
        let known = BACKENDS.map(|backend| backend.name);
        let hint = nfa_models::spec_error::closest(kind, known)
            .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        return Err(Error::input(format!("device: unknown device `{name}`; known: {}{hint}", known.join(", "))));
    };
    let index = match index {
        None => None,
        Some(index) if backend.indexed => index
            .parse()
            .map(Some)
            .map_err(|_| Error::input(format!("device: `{index}` in `{name}` is no index; write `{kind}:0`")))?,
        Some(_) => return Err(Error::input(format!("device: `{kind}` takes no index; write `{kind}`"))),
    };
    Ok((backend, index))
}

/// The command that compiles a backend in; a crate of one's own names the feature with its package.
pub fn build_with(feature: &str) -> String {
    match crate::machine::build::program().as_str() {
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
    // Without Burn the processor computes all the same.
    if !backend.compiled && (cfg!(feature = "burn") || backend.name != "flex") {
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

#[cfg(feature = "burn")]
/// The device of a name, started.
///
/// # Errors
/// As [`check`]; a machine without such a card, or whose driver does not start it.
pub fn open(name: &str, dtype: Dtype) -> Result<Device> {
    check(name, dtype)?;
    let (backend, index) = parse(name)?;
    let mut found = found(backend.name);
    let device = match index {
        None if !found.is_empty() => best(backend.name).unwrap_or_else(|| found.swap_remove(0)),
        Some(index) if index < found.len() => found.swap_remove(index),
        _ => return Err(absent(name, backend)),
    };
    match start(&device) {
        Ok(_) => Ok(device),
        Err(why) => Err(Error::environment(format!(
            "device: `{name}` does not start: {why} (the driver's own words are above); use --device flex"
        ))),
    }
}

#[cfg(feature = "burn")]
fn absent(name: &str, backend: Backend) -> Error {
    let cards = backend.cards();
    let there = if cards.is_empty() {
        let need = match backend.name {
            "cuda" => "NVIDIA's driver",
            "vulkan" => "a driver for Vulkan",
            _ => "a driver for Vulkan, Metal or DirectX (on Linux also Mesa's mesa-vulkan-drivers)",
        };
        format!("{} finds no card, which takes {need}", backend.name)
    } else {
        let cards = cards.iter().map(|card| format!("{} ({})", card.device, card.name.as_deref().unwrap_or("CPU")));
        format!("there is {}", cards.collect::<Vec<_>>().join(", "))
    };
    Error::environment(format!("device: no `{name}` on this machine: {there}; or use --device flex"))
}

#[cfg(feature = "burn")]
/// The devices of a backend on this machine, none started.
fn found(backend: &str) -> Vec<Device> {
    match backend {
        #[cfg(feature = "flex")]
        "flex" => vec![Device::flex()],
        #[cfg(feature = "ndarray")]
        "ndarray" => {
            #[allow(deprecated)] // it stays for comparison while Burn has it
            let device = Device::ndarray();
            vec![device]
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::enumerate(DeviceType::Wgpu).into_iter().collect(),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::enumerate(DeviceType::Vulkan).into_iter().collect(),
        #[cfg(feature = "cuda")]
        "cuda" => Device::enumerate(DeviceType::Cuda).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(feature = "burn")]
/// What a backend itself prefers among several; `None` for the first.
fn best(backend: &str) -> Option<Device> {
    match backend {
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(DeviceKind::DefaultDevice)),
        _ => None,
    }
}

#[cfg(feature = "burn")]
/// Starts a device. Burn panics where the driver refuses; this is the one place that can.
///
/// # Errors
/// The panic's words.
fn start(device: &Device) -> Result<String> {
    let identity = || {
        #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
        if let Some(identity) = device.identity() {
            return identity.name;
        }
        format!("{device:?}")
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(identity)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Error::environment(text.unwrap_or("no reason is given"))
    })
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
