//! The kernels that a model needs, loaded on a device.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cudarc::driver::{CudaFunction, CudaModule, sys};
use cudarc::nvrtc::Ptx;
use rayon::prelude::*;

use super::cache::Cache;
use super::compile::compile;
use super::device::Device;
use super::error::CudaError;
use super::library;
use super::sources::{FAMILIES, Source, of_type};
use crate::gguf::WeightType;

/// The kernels of one weight type.
pub struct TypeKernels {
    /// Products of up to three matrices with one row, normalised on the way.
    pub product: CudaFunction,
    /// Gate and up with the activation.
    pub gated: CudaFunction,
    /// `product` for several positions of a batch.
    pub products: CudaFunction,
    /// `gated` for several positions of a batch.
    pub gateds: CudaFunction,
    /// Products of any size.
    pub any: CudaFunction,
    /// Row of a table.
    pub row: CudaFunction,
    /// Shared memory of these four: bytes a warp, bytes for 32 values of each position's row, bytes more.
    pub shared: [u32; 3],
    /// Shared memory that a block of them may have.
    pub most_shared: u32,
}

/// Loaded kernels.
pub struct Kernels {
    named: HashMap<&'static str, CudaFunction>,
    types: HashMap<WeightType, TypeKernels>,
}

/// Kernels that are not of a weight type, by family.
const NAMES: &[(&str, &[&str])] = &[
    ("attention/plain.cu", &["scores_f32", "scores_f16", "softmax", "mix_f32", "mix_f16", "combine"]),
    (
        "attention/decode.cu",
        &[
            "attend_f32_1",
            "attend_f32_2",
            "attend_f32_4",
            "attend_f32_8",
            "attend_f16_1",
            "attend_f16_2",
            "attend_f16_4",
            "attend_f16_8",
            "attend_probabilities",
        ],
    ),
    ("elementwise.cu", &["add", "copy", "scale", "soft_cap", "gated", "gelu_of"]),
    ("norm.cu", &["rms_norm", "layer_norm"]),
    (
        "rope.cu",
        &["rope_table", "rope", "rope_and_store_f32", "rope_and_store_f16", "store_f32", "store_f16"],
    ),
    ("statistics.cu", &["statistics"]),
];

impl Kernels {
    /// Compiles or fetches what a model with these weight types needs, several sources at a time.
    pub fn load(
        device: &Device,
        cache: &Cache,
        types: impl IntoIterator<Item = WeightType>,
    ) -> Result<Self, CudaError> {
        let compiler = library::nvrtc()?.version;
        let architecture = device.about.architecture();
        let mut of_types = BTreeMap::new();
        for weight_type in types {
            let (name, source) = of_type(weight_type).ok_or_else(|| {
                CudaError::Unsupported(format!(
                    "the CUDA engine has no kernels for weights of type {weight_type}: quantise the model to another"
                ))
            })?;
            of_types.insert(name, (weight_type, source));
        }
        let sources: Vec<Source> =
            FAMILIES.iter().copied().chain(of_types.values().map(|&(_, source)| source)).collect();
        let codes = sources
            .par_iter()
            .map(|&source| cache.fetch(source, &architecture, compiler, || compile(source, &architecture)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut modules = HashMap::new();
        for (source, code) in sources.iter().zip(codes) {
            let module = device
                .context
                .load_module(Ptx::from_binary(code))
                .map_err(CudaError::driver(format!("cannot load the kernels of {}", source.name)))?;
            modules.insert(source.name, module);
        }
        let mut kernels = Self { named: HashMap::new(), types: HashMap::new() };
        for &(family, names) in NAMES {
            for &name in names {
                kernels.named.insert(name, function(&modules[family], name)?);
            }
        }
        for (name, (weight_type, source)) in of_types {
            let module = &modules[source.name];
            let named = |start: &str, end: &str| function(module, &format!("{start}_{name}{end}"));
            let (product, gated) = (named("mv", "")?, named("mv", "_gated")?);
            let (products, gateds) = (named("mm", "")?, named("mm", "_gated")?);
            let mut most_shared = u32::MAX;
            for function in [&product, &gated, &products, &gateds] {
                most_shared = most_shared.min(allow_shared(device, function)?);
            }
            kernels.types.insert(
                weight_type,
                TypeKernels {
                    product,
                    gated,
                    products,
                    gateds,
                    any: named("any", "")?,
                    row: named("row", "")?,
                    shared: stated(device, module, &format!("mv_{name}_shared"))?,
                    most_shared,
                },
            );
        }
        Ok(kernels)
    }

    /// The kernel of that name.
    pub fn get(&self, name: &str) -> Result<CudaFunction, CudaError> {
        let function = self.named.get(name);
        function.cloned().ok_or_else(|| CudaError::Unsupported(format!("there is no kernel `{name}`")))
    }

    /// The kernels of a weight type.
    pub fn of(&self, weight_type: WeightType) -> Result<&TypeKernels, CudaError> {
        self.types
            .get(&weight_type)
            .ok_or_else(|| CudaError::Unsupported(format!("the kernels of {weight_type} are not loaded")))
    }
}

fn function(module: &Arc<CudaModule>, name: &str) -> Result<CudaFunction, CudaError> {
    module.load_function(name).map_err(CudaError::driver(format!("cannot find kernel `{name}`")))
}

/// Lets a kernel have as much dynamic shared memory as the device can give a block, and says how much.
fn allow_shared(device: &Device, function: &CudaFunction) -> Result<u32, CudaError> {
    let failed = || CudaError::driver("cannot give a kernel shared memory");
    let most = device
        .context
        .attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        .map_err(failed())?;
    let left = (most - function.shared_size_bytes().map_err(failed())?).max(0);
    let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    function.set_attribute(attribute, left).map_err(failed())?;
    Ok(left as u32)
}

/// Three numbers that a kernel's source states.
fn stated(device: &Device, module: &Arc<CudaModule>, name: &str) -> Result<[u32; 3], CudaError> {
    let failed = || CudaError::driver(format!("cannot read `{name}`"));
    let mut bytes = [0_u8; 12];
    let stated = module.get_global(name, &device.stream).map_err(failed())?;
    device.stream.memcpy_dtoh(&stated, &mut bytes).map_err(failed())?;
    device.wait()?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok([0, 1, 2].map(|i| i32::from_le_bytes(numbers[i]).max(0) as u32))
}
