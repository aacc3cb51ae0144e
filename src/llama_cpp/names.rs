//! llama.cpp's spelling of names: layers, back-end prefixes, automatic aliases, weights.

/// `name` without what a back-end's copy adds around it: `CUDA0#inp_tokens#0` is `inp_tokens`.
pub fn without_backend(name: &str) -> &str {
    let Some((backend, rest)) = name.split_once('#') else { return name };
    match rest.rsplit_once('#') {
        Some((inner, copy))
            if !backend.is_empty() && !copy.is_empty() && copy.bytes().all(|b| b.is_ascii_digit()) =>
        {
            inner
        }
        _ => name,
    }
}

/// Whether ggml made the name itself, for a view, a copy or a reshape (`Qcur-0 (view)`). Such nodes
/// alias another one.
pub fn is_automatic(name: &str) -> bool {
    name.contains(" (")
}

/// `Qcur-12` is `("Qcur", Some(12))`, `result_norm` is `("result_norm", None)`.
pub fn split_layer(name: &str) -> (&str, Option<usize>) {
    match name.rsplit_once('-') {
        Some((base, digits)) if !base.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_or((name, None), |layer| (base, Some(layer)))
        }
        _ => (name, None),
    }
}

/// `blk.12.attn_output.weight` is `(12, "attn_output.weight")`.
pub fn split_weight(name: &str) -> Option<(usize, &str)> {
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_prefixes_go() {
        assert_eq!(without_backend("CUDA0#inp_tokens#0"), "inp_tokens");
        assert_eq!(without_backend("CUDA0#blk.3.attn_q.weight#12"), "blk.3.attn_q.weight");
        for plain in ["l_out-3", "a#b", "a#b#", "#b#0", "CUDA0#x#y", ""] {
            assert_eq!(without_backend(plain), plain);
        }
    }

    #[test]
    fn layers_are_split_off() {
        assert_eq!(split_layer("Qcur-12"), ("Qcur", Some(12)));
        assert_eq!(split_layer("kq_soft_max-0"), ("kq_soft_max", Some(0)));
        for plain in ["result_norm", "-1", "a-", "a-b", "", "x-99999999999999999999999"] {
            assert_eq!(split_layer(plain), (plain, None));
        }
    }

    #[test]
    fn weights_name_their_layer() {
        assert_eq!(split_weight("blk.12.attn_output.weight"), Some((12, "attn_output.weight")));
        for other in ["output.weight", "blk.", "blk.x.attn_q.weight", "blk.1"] {
            assert_eq!(split_weight(other), None);
        }
    }

    #[test]
    fn automatic_names_are_known() {
        assert!(is_automatic("Qcur-0 (reshaped)") && is_automatic("cache_k_l0 (view)"));
        assert!(!is_automatic("Qcur-0"));
    }
}
