//! Every weight type widened by paritty and by the real llama.cpp, compared bit for bit.
#![cfg(feature = "llama-cpp")]
#![allow(unsafe_code, clippy::unwrap_used)]

mod weight_blocks;

use std::ffi::CStr;

use llama_cpp_sys_2 as sys;
use paritty::gguf::WeightType;

fn theirs(weight_type: WeightType, bytes: &[u8], len: usize) -> Vec<f32> {
    let mut out = vec![0.0_f32; len];
    // SAFETY: the traits of a known type live for ever; `bytes` holds the blocks of `len` values.
    unsafe {
        let traits = &*sys::ggml_get_type_traits(weight_type.id() as _);
        traits.to_float.unwrap()(bytes.as_ptr().cast(), out.as_mut_ptr(), len as i64);
    }
    out
}

#[test]
fn sizes_and_names_are_ggmls() {
    for weight_type in WeightType::ALL {
        let format = weight_type.format();
        // SAFETY: the traits of a known type live for ever, and so does the name.
        let (traits, name) = unsafe {
            let traits = &*sys::ggml_get_type_traits(weight_type.id() as _);
            (traits, CStr::from_ptr(traits.type_name).to_str().unwrap())
        };
        assert_eq!(format.name.to_lowercase(), name.to_lowercase());
        assert_eq!(format.block_len as i64, traits.blck_size, "{name}");
        assert_eq!(format.block_bytes, traits.type_size, "{name}");
    }
}

#[test]
fn widened_values_are_llama_cpps() {
    let mut compared = Vec::new();
    for weight_type in WeightType::ALL {
        let format = weight_type.format();
        // llama.cpp needs no function to read F32; its values are the bytes themselves.
        let Some(dequantize) = format.dequantize.filter(|_| weight_type != WeightType::F32) else { continue };
        let bytes = weight_blocks::random(weight_type);
        let len = bytes.len() / format.block_bytes * format.block_len;
        let mut ours = vec![0.0; len];
        dequantize(&bytes, &mut ours);
        let mut non_finite = 0;
        for (i, (o, t)) in ours.iter().zip(theirs(weight_type, &bytes, len)).enumerate() {
            let same = o.to_bits() == t.to_bits() || o.is_nan() && t.is_nan();
            let block = i / format.block_len;
            let bytes = &bytes[block * format.block_bytes..][..format.block_bytes];
            assert!(
                same,
                "{weight_type}, block {block}, value {}: {o:e} and {t:e} from {bytes:02x?}",
                i % format.block_len
            );
            non_finite += usize::from(!o.is_finite());
        }
        // The odd scales did reach the values.
        assert!(non_finite > 0 || weight_type == WeightType::Mxfp4, "{weight_type}");
        // One block by itself, and bytes that are not aligned, give the same.
        let mut shifted = vec![0; bytes.len() + 1];
        shifted[1..].copy_from_slice(&bytes);
        let mut again = vec![0.0; len];
        let one = (format.block_bytes, format.block_len);
        dequantize(&shifted[1..=one.0], &mut again[..one.1]);
        dequantize(&shifted[1 + one.0..], &mut again[one.1..]);
        assert!(again.iter().zip(&ours).all(|(a, b)| a.to_bits() == b.to_bits()), "{weight_type}");
        compared.push(format.name);
    }
    assert_eq!(compared.len(), 15, "only {compared:?} were compared");
}
