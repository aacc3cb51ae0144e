//! Which weight type each tensor of a file gets: the mixes that llama.cpp's quantiser makes, with
//! the types it falls back to where a row is no whole number of blocks.

use crate::gguf::WeightType as T;

/// A mix by its name, such as `Q4_K_M`.
#[derive(Debug, PartialEq, Eq)]
pub struct Mix {
    /// llama.cpp's name for it.
    pub name: &'static str,
    /// llama.cpp's number for it (`general.file_type`).
    pub file_type: u32,
    /// The type of matrices without a rule of their own.
    pub base: T,
}

/// Every mix. MXFP4 is llama.cpp's for experts only; here it holds every matrix but the output's.
pub static MIXES: &[Mix] = &[
    Mix { name: "F32", file_type: 0, base: T::F32 },
    Mix { name: "F16", file_type: 1, base: T::F16 },
    Mix { name: "BF16", file_type: 32, base: T::Bf16 },
    Mix { name: "Q4_0", file_type: 2, base: T::Q4_0 },
    Mix { name: "Q4_1", file_type: 3, base: T::Q4_1 },
    Mix { name: "Q5_0", file_type: 8, base: T::Q5_0 },
    Mix { name: "Q5_1", file_type: 9, base: T::Q5_1 },
    Mix { name: "Q8_0", file_type: 7, base: T::Q8_0 },
    Mix { name: "Q2_K", file_type: 10, base: T::Q2K },
    Mix { name: "Q3_K_S", file_type: 11, base: T::Q3K },
    Mix { name: "Q3_K_M", file_type: 12, base: T::Q3K },
    Mix { name: "Q3_K_L", file_type: 13, base: T::Q3K },
    Mix { name: "Q4_K_S", file_type: 14, base: T::Q4K },
    Mix { name: "Q4_K_M", file_type: 15, base: T::Q4K },
    Mix { name: "Q5_K_S", file_type: 16, base: T::Q5K },
    Mix { name: "Q5_K_M", file_type: 17, base: T::Q5K },
    Mix { name: "Q6_K", file_type: 18, base: T::Q6K },
    Mix { name: "IQ4_NL", file_type: 25, base: T::Iq4Nl },
    Mix { name: "IQ4_XS", file_type: 30, base: T::Iq4Xs },
    Mix { name: "MXFP4", file_type: 38, base: T::Mxfp4 },
];

/// What a matrix is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The output matrix, or the embedding that serves as one.
    Output,
    /// `attn_v`, or the fused `attn_qkv`.
    Value,
    /// `attn_output`.
    AttentionOutput,
    /// `ffn_down`.
    Down,
    /// Any other.
    Other,
}

/// Where a matrix is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its layer; 0 outside layers.
    pub layer: usize,
    /// Layers of the model.
    pub n_layer: usize,
    /// Query heads that share a key head.
    pub sharing: usize,
    /// Length of its rows.
    pub row: usize,
}

impl Mix {
    /// The mix called `name`, in any case.
    pub fn named(name: &str) -> Option<&'static Self> {
        MIXES.iter().find(|m| m.name.eq_ignore_ascii_case(name))
    }

    /// The type of a matrix.
    pub fn weight_type(&self, part: Part, place: Place) -> T {
        if matches!(self.base, T::F32 | T::F16 | T::Bf16) {
            return self.base;
        }
        let fits = |t: T| place.row.is_multiple_of(t.format().block_len);
        let wanted = self.wanted(part, place, fits(self.base));
        if fits(wanted) {
            return wanted;
        }
        let smaller = match wanted {
            T::Q2K | T::Q3K => T::Q4_0,
            T::Q4K => T::Q5_0,
            T::Q5K => T::Q5_1,
            T::Q6K => T::Q8_0,
            _ => T::Iq4Nl,
        };
        if fits(smaller) { smaller } else { T::F16 }
    }

    /// The type before rows are looked at. `fits`: whether they are whole blocks of the base type.
    fn wanted(&self, part: Part, at: Place, fits: bool) -> T {
        let Place { layer, n_layer, sharing, .. } = at;
        let first = layer < n_layer / 8;
        // The first and last eighth of the layers, and every third between them.
        let important = first || layer >= 7 * n_layer / 8 || (layer - n_layer / 8) % 3 == 2;
        match (self.name, part) {
            (_, Part::Output) if !fits || matches!(self.base, T::Q8_0 | T::Mxfp4) => T::Q8_0,
            (_, Part::Output) => T::Q6K,
            ("Q2_K", Part::Value) if sharing >= 4 => T::Q4K,
            ("Q2_K", Part::Value | Part::AttentionOutput | Part::Down) => T::Q3K,
            ("Q3_K_M", Part::Value) if layer < 2 => T::Q5K,
            ("Q3_K_M", Part::Down) if layer < n_layer / 16 => T::Q5K,
            ("Q3_K_M", Part::Value | Part::AttentionOutput | Part::Down) => T::Q4K,
            ("Q3_K_L", Part::Value | Part::AttentionOutput | Part::Down) => T::Q5K,
            ("Q4_K_S", Part::Value) if layer < 4 => T::Q5K,
            ("Q4_K_S" | "IQ4_NL" | "IQ4_XS", Part::Down) if first => T::Q5K,
            ("Q4_K_M" | "Q5_K_M", Part::Value | Part::Down) if important => T::Q6K,
            ("IQ4_NL" | "IQ4_XS", Part::Value) if sharing >= 4 => T::Q5K,
            _ => self.base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_whole_blocks_fall_back() {
        let place = |row| Place { layer: 0, n_layer: 2, sharing: 1, row };
        let mix = |name| Mix::named(name).unwrap();
        assert_eq!(mix("q4_k_m").weight_type(Part::Other, place(512)), T::Q4K);
        assert_eq!(mix("q4_k_m").weight_type(Part::Other, place(896)), T::Q5_0);
        assert_eq!(mix("q4_k_m").weight_type(Part::Output, place(896)), T::Q8_0);
        assert_eq!(mix("q4_k_m").weight_type(Part::Other, place(240)), T::F16);
        assert_eq!(mix("q8_0").weight_type(Part::Other, place(240)), T::F16);
        assert_eq!(mix("iq4_xs").weight_type(Part::Other, place(96)), T::Iq4Nl);
        assert_eq!(mix("f32").weight_type(Part::Other, place(7)), T::F32);
        assert!(Mix::named("q9").is_none());
    }
}
