//! The first line of a trace: who computed it, from which model, with which settings.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// First line of a version 1 trace. Every field but `paritty` may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Version of the format: 1.
    pub paritty: u32,
    /// Name of the engine.
    pub team: String,
    /// `CPU`, `CUDA`, `oracle` …
    pub backend: String,
    /// The model file.
    pub model: ModelInfo,
    /// What changes numbers.
    pub settings: Settings,
    /// Text that was tokenised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_prompt: Option<u32>,
    /// Positions the writer means to compute, if it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_total: Option<u32>,
    /// Plain name of the sidecar, in the trace's own folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
}

/// The model a trace was made with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelInfo {
    /// `general.name`, or the file's name.
    pub name: String,
    /// `general.architecture`.
    pub arch: String,
    /// Layers.
    pub n_layer: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Logits per position.
    pub n_vocab: u32,
    /// Bytes of the file.
    pub size: u64,
    /// Weight type of most of the matrix parameters: `F16`, `Q4_K` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

/// Settings that change numbers. Unknown keys are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Version of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Threads that computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Whether attention was fused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_attn: Option<bool>,
    /// Type of the K and V cache: `f16`, `f32` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv: Option<String>,
    /// Positions that the run was opened for, where that is known; some models choose their RoPE
    /// factors by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_ctx: Option<u32>,
    /// How products are computed: `f32`, `f64`, `llama.cpp` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// An injected fault's id, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Header {
    /// Reads the header's line. A field of a wrong type is left out and named in the second part
    /// of the answer, so that one odd setting does not cost the rest.
    pub fn from_line(line: &[u8]) -> Result<(Self, Option<String>), String> {
        let mut value: Value = serde_json::from_slice(line).map_err(|e| format!("header: {e}"))?;
        match Self::deserialize(&value) {
            Ok(header) => Ok((header, None)),
            Err(first) => {
                drop_misfits(&mut value, &mut Vec::new());
                let header = Self::deserialize(&value).map_err(|e| format!("header: {e}"))?;
                Ok((header, Some(format!("header: {first}; what does not fit is left out"))))
            }
        }
    }

    /// The header of the trace at `path`, if there is one already.
    pub fn peek(path: &Path) -> Option<Self> {
        let mut line = Vec::new();
        // A pipe can be read only once, and not by this.
        let file = path.is_file().then(|| File::open(path).ok())??;
        BufReader::new(file).take(super::limits::MAX_LINE as u64).read_until(b'\n', &mut line).ok()?;
        Self::from_line(&line).ok().map(|(header, _)| header).filter(|header| header.paritty > 0)
    }

    /// Whether it ran on an NVIDIA GPU. Traces of llama.cpp once said only `GPU`, and what kind among the
    /// features of the build (`system`).
    pub fn is_cuda(&self) -> bool {
        let backend = self.backend.to_ascii_uppercase();
        let says = |key: &str| {
            let text = self.settings.other.get(key).and_then(Value::as_str);
            text.is_some_and(|text| text.to_ascii_uppercase().contains("CUDA"))
        };
        backend.contains("CUDA") || (backend == "GPU" && (says("system") || says("device")))
    }

    /// Why the sidecar's name cannot be used, if so: it has to be a plain file name, so that a trace
    /// can only name its neighbours.
    pub fn sidecar_problem(&self) -> Option<String> {
        let name = self.sidecar.as_deref()?;
        let plain = !name.is_empty()
            && name != "."
            && name != ".."
            && name.len() <= 255
            && !name.chars().any(|c| matches!(c, '/' | '\\' | ':' | '\0'));
        (!plain).then(|| {
            let shown: String = name.chars().take(super::limits::MAX_QUOTE).collect();
            format!("sidecar `{shown}`: a plain file name in the trace's own folder was expected")
        })
    }
}

/// Removes each field that alone makes a header unreadable; goes into objects to remove as little
/// as possible. `path` leads from the header to `value`.
fn drop_misfits(value: &mut Value, path: &mut Vec<String>) {
    let Value::Object(fields) = value else { return };
    let keys: Vec<String> = fields.keys().cloned().collect();
    for key in keys {
        path.push(key.clone());
        if let Some(inner) = fields.get_mut(&key)
            && !fits_alone(path, inner)
        {
            drop_misfits(inner, path);
            if !fits_alone(path, inner) {
                fields.remove(&key);
            }
        }
        path.pop();
    }
}

fn fits_alone(path: &[String], value: &Value) -> bool {
    let nested = path
        .iter()
        .rev()
        .fold(value.clone(), |inner, key| Value::Object(Map::from_iter([(key.clone(), inner)])));
    Header::deserialize(&nested).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_field_does_not_cost_the_rest() {
        let line = br#"{"paritty":1,"team":"x","model":{"name":"m","n_layer":"many","n_embd":64},"settings":{"threads":-1,"kv":"f16","own":[1]},"prompt":5}"#;
        let (header, problem) = Header::from_line(line).unwrap();
        assert_eq!((header.paritty, &*header.team, &*header.model.name), (1, "x", "m"));
        assert_eq!((header.model.n_layer, header.model.n_embd), (0, 64));
        assert_eq!((header.settings.threads, header.settings.kv.as_deref()), (None, Some("f16")));
        assert_eq!(header.settings.other["own"], serde_json::json!([1]));
        assert_eq!(header.prompt, None);
        assert!(problem.is_some());
        assert_eq!(
            Header::from_line(br#"{"paritty":1}"#),
            Ok((Header { paritty: 1, ..Header::default() }, None))
        );
        assert!(Header::from_line(b"{\"paritty\":1,\"x\":NaN}").is_err());
    }

    #[test]
    fn a_header_written_is_the_header_read() {
        let mut header =
            Header { paritty: 1, team: "t".into(), n_prompt: Some(3), n_total: Some(9), ..Header::default() };
        header.settings.flash_attn = Some(false);
        header.settings.other.insert("device".into(), "x".into());
        let line = serde_json::to_vec(&header).unwrap();
        assert_eq!(Header::from_line(&line), Ok((header, None)));
    }

    #[test]
    fn a_gpu_is_named_or_known_by_its_build() {
        let of = |line: &str| Header::from_line(line.as_bytes()).unwrap().0.is_cuda();
        assert!(of(r#"{"paritty":1,"backend":"CUDA"}"#));
        assert!(of(
            r#"{"paritty":1,"backend":"GPU","settings":{"system":"CUDA : ARCHS = 900 | CPU : AVX"}}"#
        ));
        assert!(!of(r#"{"paritty":1,"backend":"GPU","settings":{"system":"Vulkan : X | CPU : AVX"}}"#));
        assert!(!of(r#"{"paritty":1,"backend":"CPU","settings":{"system":"CUDA : ARCHS = 900"}}"#));
    }

    #[test]
    fn a_sidecar_is_a_neighbour() {
        let with = |name: &str| Header { sidecar: Some(name.into()), ..Header::default() }.sidecar_problem();
        assert_eq!(with("run 1.bin"), None);
        for name in ["", ".", "..", "/etc/passwd", "../x.bin", "a/b.bin", "a\\b", "C:x", "a\0"] {
            assert!(with(name).is_some(), "{name}");
        }
        assert_eq!(Header::default().sidecar_problem(), None);
    }
}
