//! The kernels' sources, which the binary carries.

use crate::gguf::WeightType;

/// A file of kernels that is compiled on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Its path in `cuda/`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! source {
    ($($path:literal),+) => {
        Source { name: concat!($($path),+), text: include_str!(concat!("../../../cuda/", $($path),+)) }
    };
}

/// Kernels that every model needs.
pub static FAMILIES: &[Source] = &[
    source!("attention/decode.cu"),
    source!("attention/plain.cu"),
    source!("elementwise.cu"),
    source!("norm.cu"),
    source!("rope.cu"),
    source!("statistics.cu"),
];

/// What the kernels include.
pub static HEADERS: &[Source] = &[
    source!("activation.cuh"),
    source!("async_copy.cuh"),
    source!("attention/decode.cuh"),
    source!("base.cuh"),
    source!("blocks.cuh"),
    source!("history.cuh"),
    source!("matvec/any.cuh"),
    source!("matvec/columns.cuh"),
    source!("matvec/dot.cuh"),
    source!("matvec/fixed.cuh"),
    source!("matvec/product.cuh"),
    source!("matvec/stream.cuh"),
    source!("matvec/types/block32.cuh"),
    source!("matvec/types/plain.cuh"),
    source!("matvec/types/super.cuh"),
    source!("overlap.cuh"),
];

/// How they are compiled: one option a line. CI compiles with the same.
pub static OPTIONS: &str = include_str!("../../../cuda/options.txt");

/// Products and look-ups of one weight type: the name in its kernels' names, and their source.
pub fn of_type(weight_type: WeightType) -> Option<(&'static str, Source)> {
    macro_rules! table {
        ($($variant:ident: $name:literal,)*) => {
            match weight_type {
                $(WeightType::$variant => Some(($name, source!("matvec/", $name, ".cu"))),)*
                _ => None,
            }
        };
    }
    table! {
        F32: "f32",
        F16: "f16",
        Bf16: "bf16",
        Q8_0: "q8_0",
        Q4_0: "q4_0",
        Q4_1: "q4_1",
        Q5_0: "q5_0",
        Q5_1: "q5_1",
        Q2K: "q2_k",
        Q3K: "q3_k",
        Q4K: "q4_k",
        Q5K: "q5_k",
        Q6K: "q6_k",
        Iq4Nl: "iq4_nl",
        Iq4Xs: "iq4_xs",
        Mxfp4: "mxfp4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_the_cpu_computes_with_has_kernels() {
        for weight_type in WeightType::ALL {
            let kernels = of_type(weight_type);
            assert_eq!(kernels.is_some(), weight_type.format().dequantize.is_some(), "{weight_type}");
            let Some((name, source)) = kernels else { continue };
            assert_eq!(name.to_uppercase(), weight_type.to_string());
            assert!(source.text.contains(&format!("ANY({weight_type}, {name})")), "{}", source.text);
        }
    }

    #[test]
    fn every_file_in_the_folder_is_carried() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
        let mut carried: Vec<String> = FAMILIES.iter().chain(HEADERS).map(|s| s.name.to_owned()).collect();
        carried.extend(WeightType::ALL.iter().filter_map(|t| Some(of_type(*t)?.1.name.to_owned())));
        let mut found = Vec::new();
        for sub in ["", "attention", "matvec", "matvec/types"] {
            for entry in std::fs::read_dir(folder.join(sub)).unwrap().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|e| e == "cu" || e == "cuh") {
                    found.push(path.strip_prefix(&folder).unwrap().display().to_string());
                }
            }
        }
        carried.sort();
        found.sort();
        assert_eq!(carried, found);
    }
}
