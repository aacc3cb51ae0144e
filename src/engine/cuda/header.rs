//! What a trace says of a run on a GPU.

use super::device::{self, Device};
use super::history::Format;
use crate::engine::describe::describe;
use crate::gguf::Gguf;
use crate::model::Graph;
use crate::trace::{Header, Settings};

/// The header for `graph` on `devices`; the first one is described.
pub fn header(gguf: &Gguf, graph: &Graph, devices: &[&Device], format: Format) -> Header {
    let mut settings = Settings {
        build: Some(env!("CARGO_PKG_VERSION").into()),
        flash_attn: Some(false),
        kv: Some(format.suffix().into()),
        arithmetic: Some("f32".into()),
        ..Settings::default()
    };
    let device = devices.first().map(|device| &device.about);
    let mut other = |key: &str, value: serde_json::Value| settings.other.insert(key.into(), value);
    other("device", device.map(|about| about.name.clone()).into());
    other("sm_count", device.map(|about| about.multiprocessors).into());
    other(
        "compute_capability",
        device.map(|about| format!("{}.{}", about.capability.0, about.capability.1)).into(),
    );
    if devices.len() > 1 {
        other("devices", devices.len().into());
    }
    if let Ok((major, minor)) = device::driver_version() {
        other("cuda", format!("{major}.{minor}").into());
    }
    Header {
        paritty: 1,
        team: "paritty".into(),
        backend: "CUDA".into(),
        model: describe(gguf, graph),
        settings,
        ..Header::default()
    }
}
