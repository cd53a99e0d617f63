//! Where tensors live.

use burn::tensor::Device;

/// Whether a device computes on the host's own cores, in its memory.
pub fn is_on_host(device: &Device) -> bool {
    is(device, "Device<Flex") || is(device, "Device<NdArray")
}

/// Whether a device is Burn's own backend for CPUs.
pub(crate) fn is_flex(device: &Device) -> bool {
    is(device, "Device<Flex")
}

// Burn has no question for it: variants of its device type exist with Cargo features of its own alone.
fn is(device: &Device, backend: &str) -> bool {
    format!("{:?}", device.clone().inner()).starts_with(backend)
}
