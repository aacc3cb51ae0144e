//! Every weight type widened, against fingerprints of values that were llama.cpp's bit for bit:
//! tests/gguf_dequant_llama.rs compares the same blocks where llama.cpp is at hand.

mod weight_blocks;

use paritty::gguf::WeightType;

/// FNV-1a over the bits of all values, every NaN as the same one.
const FINGERPRINTS: &[(WeightType, u64)] = &[
    (WeightType::F32, 0xbbbe_3368_9cda_808d),
    (WeightType::F16, 0xd5e4_8128_572a_6cb8),
    (WeightType::Bf16, 0xf5ef_4118_04a2_e2f3),
    (WeightType::Q8_0, 0xbc77_1468_9791_47ea),
    (WeightType::Q4_0, 0x1a4c_aec7_b3f6_8f0d),
    (WeightType::Q4_1, 0x6733_7f45_077e_7209),
    (WeightType::Q5_0, 0x57ac_0f01_4f52_3ba4),
    (WeightType::Q5_1, 0x3f93_79ed_1873_9e45),
    (WeightType::Q2K, 0x1e8b_e8e3_b57f_be3f),
    (WeightType::Q3K, 0x57b7_ac33_9e03_c219),
    (WeightType::Q4K, 0x2a6b_728d_d873_6709),
    (WeightType::Q5K, 0x0c96_1f70_7023_a72d),
    (WeightType::Q6K, 0xd34f_71ba_5ff0_5911),
    (WeightType::Iq4Nl, 0x10bb_6aec_118e_3b73),
    (WeightType::Iq4Xs, 0xee20_696f_2233_4394),
    (WeightType::Mxfp4, 0x4bd3_1295_390d_104f),
];

fn fingerprint(values: &[f32]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash, value| {
        let bits = if value.is_nan() { f32::NAN } else { *value }.to_bits();
        bits.to_le_bytes().iter().fold(hash, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    })
}

#[test]
fn widened_values_are_those_that_were_checked() {
    let mut seen = Vec::new();
    for weight_type in WeightType::ALL {
        let format = weight_type.format();
        let Some(dequantize) = format.dequantize else { continue };
        let bytes = weight_blocks::random(weight_type);
        let mut values = vec![0.0; bytes.len() / format.block_bytes * format.block_len];
        dequantize(&bytes, &mut values);
        seen.push((weight_type, fingerprint(&values)));
    }
    assert_eq!(seen, FINGERPRINTS, "{seen:#x?}");
}
