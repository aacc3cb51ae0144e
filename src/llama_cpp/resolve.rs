//! From a node of llama.cpp's graph to the checkpoint that it computes.
//!
//! llama.cpp gives one name to several nodes and none to some, so a node is known by its name, its
//! operation and its sources. Which projections are followed by a bias is known from the file's tensors.

use std::collections::HashSet;

use super::graph_node::GraphNode;
use super::{names, turned};
use crate::model::{Checkpoint, Site};

/// Names the nodes of one model's graph.
#[derive(Debug, Default)]
pub struct Resolver {
    /// `(layer, "attn_q")` for every bias in the file.
    biases: HashSet<(usize, Box<str>)>,
}

impl Resolver {
    /// A resolver for a file with these tensors.
    pub fn new<'a>(tensors: impl IntoIterator<Item = &'a str>) -> Self {
        let biases = tensors
            .into_iter()
            .filter_map(|name| {
                let (layer, rest) = names::split_weight(name)?;
                Some((layer, rest.strip_suffix(".bias")?.into()))
            })
            .collect();
        Self { biases }
    }

    fn has_bias(&self, layer: usize, weight: &str) -> bool {
        self.biases.contains(&(layer, weight.into()))
    }

    /// The checkpoint that `node` computes, if it is one.
    pub fn resolve(&self, node: &impl GraphNode) -> Option<Checkpoint> {
        let name = names::without_backend(node.name());
        if names::is_automatic(name) {
            return turned::turned_back(node).map(|layer| Checkpoint::layer(Site::KqvOut, layer));
        }
        let (base, layer) = names::split_layer(name);
        let by_name = match layer {
            Some(layer) => self.in_layer(base, layer, node).map(|site| Checkpoint::layer(site, layer)),
            None => outside_layers(name, node.op()).map(Checkpoint::global),
        };
        by_name.or_else(|| self.by_sources(node))
    }

    /// Sites whose nodes llama.cpp names, in layer `layer`.
    fn in_layer(&self, base: &str, layer: usize, node: &impl GraphNode) -> Option<Site> {
        let op = node.op();
        let matrix = op == "MUL_MAT";
        let unbiased = |weight, site| (!self.has_bias(layer, weight)).then_some(site);
        match base {
            "attn_norm" => Some(Site::AttnNorm),
            "wqkv" => Some(Site::Wqkv),
            "wqkv_b" => Some(Site::WqkvB),
            "Qcur" => match op {
                "MUL_MAT" if self.has_bias(layer, "attn_q") => Some(Site::QcurMm),
                "MUL_MAT" | "ADD" | "VIEW" => Some(Site::Qcur),
                "ROPE" => Some(Site::QcurRope),
                "SCALE" => Some(Site::QcurScaled),
                _ => None,
            },
            "Kcur" => match op {
                "MUL_MAT" if self.has_bias(layer, "attn_k") => Some(Site::KcurMm),
                "MUL_MAT" | "ADD" | "VIEW" => Some(Site::Kcur),
                "ROPE" => Some(Site::KcurRope),
                _ => None,
            },
            "Vcur" => match op {
                "MUL_MAT" if self.has_bias(layer, "attn_v") => Some(Site::VcurMm),
                "MUL_MAT" | "ADD" | "VIEW" => Some(Site::Vcur),
                _ => None,
            },
            "Qcur_normed" => Some(Site::QcurNormed),
            "Kcur_normed" => Some(Site::KcurNormed),
            "kq" if matrix => Some(Site::Kq),
            "kq_soft_max" => Some(Site::KqSoftMax),
            "kqv_out" => Some(Site::KqvOut),
            "attn_out" => Some(Site::AttnOut),
            "attn_post_norm" => Some(Site::AttnPostNorm),
            "ffn_inp" | "sa_out" => Some(Site::FfnInp),
            "ffn_norm" => Some(Site::FfnNorm),
            "ffn_gate" if matrix => unbiased("ffn_gate", Site::FfnGate),
            "ffn_gate_b" => Some(Site::FfnGate),
            "ffn_up" if matrix => unbiased("ffn_up", Site::FfnUp),
            "ffn_up_b" => Some(Site::FfnUp),
            "ffn_swiglu" => Some(Site::FfnSwiglu),
            "ffn_gelu" | "ffn_geglu" => Some(Site::FfnGelu),
            "ffn_out" => Some(Site::FfnOut),
            "ffn_post_norm" => Some(Site::FfnPostNorm),
            "l_out" => Some(Site::LOut),
            _ => None,
        }
    }

    /// Nodes that llama.cpp leaves without a name of their own, or without a layer in it.
    fn by_sources(&self, node: &impl GraphNode) -> Option<Checkpoint> {
        let first = node.source(0)?;
        let here = |site, layer| Some(Checkpoint::layer(site, layer));
        match node.op() {
            // gemma3 gives the name `embd` to nothing: its embedding is scaled at once.
            "GET_ROWS" if names::without_backend(first.name()) == "token_embd.weight" => {
                Some(Checkpoint::global(Site::Embd))
            }
            "MUL_MAT" => match names::split_weight(names::without_backend(first.name()))? {
                (layer, "attn_output.weight") if !self.has_bias(layer, "attn_output") => {
                    here(Site::AttnOut, layer)
                }
                _ => None,
            },
            "ADD" => {
                let second = node.source(1)?;
                match names::split_weight(names::without_backend(second.name())) {
                    Some((layer, "attn_output.bias")) => here(Site::AttnOut, layer),
                    // phi3: attention's output, perhaps only its rows that are wanted, plus the residual.
                    None if names::split_layer(node.name()).1.is_none() => {
                        here(Site::FfnInp, self.attention_output(first)?)
                    }
                    _ => None,
                }
            }
            // gemma: the scale of the query has no name.
            "SCALE" if first.op() == "ROPE" => {
                match names::split_layer(names::without_backend(first.name())) {
                    ("Qcur", Some(layer)) => here(Site::QcurScaled, layer),
                    _ => None,
                }
            }
            // gemma2: the last norm of a layer is named without the layer.
            "MUL" => match names::split_weight(names::without_backend(node.source(1)?.name()))? {
                (layer, "post_ffw_norm.weight") => here(Site::FfnPostNorm, layer),
                _ => None,
            },
            _ => None,
        }
    }

    /// The layer whose attention output `node` is, or takes rows of.
    fn attention_output(&self, node: impl GraphNode) -> Option<usize> {
        let node = if node.op() == "GET_ROWS" { node.source(0)? } else { node };
        let checkpoint = match node.op() {
            "MUL_MAT" | "ADD" => self.resolve(&node)?,
            _ => return None,
        };
        (checkpoint.site() == Site::AttnOut).then(|| checkpoint.layer_index()).flatten()
    }
}

/// Sites that llama.cpp names without a layer.
fn outside_layers(name: &str, op: &str) -> Option<Site> {
    match name {
        "embd" if op == "GET_ROWS" => Some(Site::Embd),
        "pos_embd" => Some(Site::PosEmbd),
        // Some architectures that scale their embedding give its name to the result.
        "embd" | "inpL" | "inp_scaled" => Some(Site::InpL),
        "result_norm" => Some(Site::ResultNorm),
        "result_output" => Some(Site::ResultOutput),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node as the tests write it down: name, operation, sources.
    #[derive(Clone)]
    struct Made(&'static str, &'static str, Vec<Made>);

    impl GraphNode for Made {
        fn name(&self) -> &str {
            self.0
        }
        fn op(&self) -> &str {
            self.1
        }
        fn source(&self, index: usize) -> Option<Self> {
            self.2.get(index).cloned()
        }
    }

    fn leaf(name: &'static str) -> Made {
        Made(name, "NONE", vec![])
    }

    fn product(name: &'static str, weight: &'static str) -> Made {
        Made(name, "MUL_MAT", vec![leaf(weight), leaf("x")])
    }

    fn check(resolver: &Resolver, rows: &[(Made, Option<&str>)]) {
        for (node, expected) in rows {
            let found = resolver.resolve(node).map(|c| c.to_string());
            assert_eq!(found.as_deref(), *expected, "{} {}", node.0, node.1);
        }
    }

    fn named(name: &'static str, op: &'static str) -> Made {
        Made(name, op, vec![leaf("a"), leaf("b")])
    }

    #[test]
    fn llama() {
        let rows = [
            (Made("embd", "GET_ROWS", vec![leaf("token_embd.weight"), leaf("inp_tokens")]), Some("embd")),
            (named("norm-0", "RMS_NORM"), None),
            (named("attn_norm-0", "MUL"), Some("attn_norm-0")),
            (product("Qcur-0", "blk.0.attn_q.weight"), Some("Qcur-0")),
            (named("Qcur-0", "RESHAPE"), None),
            (named("Qcur-0 (reshaped)", "RESHAPE"), None),
            (named("Qcur-0", "ROPE"), Some("Qcur_rope-0")),
            (product("Vcur-0", "blk.0.attn_v.weight"), Some("Vcur-0")),
            (named("Vcur-0", "RESHAPE"), None),
            (named("Vcur-0 (view)", "VIEW"), None),
            (product("Kcur-0", "blk.0.attn_k.weight"), Some("Kcur-0")),
            (named("Kcur-0", "ROPE"), Some("Kcur_rope-0")),
            (named("cache_k_l0 (view)", "SET_ROWS"), None),
            (named("kq-0", "MUL_MAT"), Some("kq-0")),
            (named("kq_soft_max-0", "SOFT_MAX"), Some("kq_soft_max-0")),
            (named("kqv-0", "MUL_MAT"), None),
            (named("kqv_out-0", "CONT"), Some("kqv_out-0")),
            (product("attn_out-0", "blk.0.attn_output.weight"), Some("attn_out-0")),
            (named("ffn_inp-0", "ADD"), Some("ffn_inp-0")),
            (named("ffn_norm-0", "MUL"), Some("ffn_norm-0")),
            (product("ffn_gate-0", "blk.0.ffn_gate.weight"), Some("ffn_gate-0")),
            (product("ffn_up-0", "blk.0.ffn_up.weight"), Some("ffn_up-0")),
            (named("ffn_swiglu-0", "SWIGLU"), Some("ffn_swiglu-0")),
            (product("ffn_out-0", "blk.0.ffn_down.weight"), Some("ffn_out-0")),
            (named("l_out-0", "ADD"), Some("l_out-0")),
            (named("norm", "RMS_NORM"), None),
            (named("result_norm", "MUL"), Some("result_norm")),
            (product("result_output", "output.weight"), Some("result_output")),
        ];
        check(&Resolver::default(), &rows);
    }

    #[test]
    fn flash_attention_has_no_scores() {
        let fused = named("node_27", "FLASH_ATTN_EXT");
        let joined = Made("kqv_out-0", "RESHAPE", vec![fused.clone()]);
        check(&Resolver::default(), &[(fused, None), (joined, Some("kqv_out-0"))]);
    }

    #[test]
    fn what_is_turned_for_a_quantised_cache_is_attention_once_it_is_turned_back() {
        let matrix = || leaf("CPU#attn_inp_v_rot#0");
        let values = Made("node_9", "MUL_MAT", vec![matrix(), named("Vcur-1 (reshaped)", "RESHAPE")]);
        let mix = Made("kqv_out-1", "RESHAPE", vec![named("node_27", "FLASH_ATTN_EXT")]);
        let flat = Made("kqv_out-1 (reshaped)", "RESHAPE", vec![mix]);
        let back = Made("", "MUL_MAT", vec![matrix(), flat]);
        assert!(turned::turns(&values) && turned::turns(&back));
        assert!(!turned::turns(&named("kq-0", "MUL_MAT")));
        let stored = Made(" (reshaped)", "RESHAPE", vec![values]);
        let out = Made(" (reshaped)", "RESHAPE", vec![back]);
        check(&Resolver::default(), &[(stored, None), (out, Some("kqv_out-1"))]);
    }

    #[test]
    fn qwen2_has_biases_and_nameless_attention_outputs() {
        let resolver = Resolver::new(["blk.0.attn_q.bias", "blk.0.attn_k.bias", "blk.0.attn_v.bias"]);
        let rows = [
            (product("Qcur-0", "blk.0.attn_q.weight"), Some("Qcur_mm-0")),
            (Made("Qcur-0", "ADD", vec![leaf("Qcur-0"), leaf("blk.0.attn_q.bias")]), Some("Qcur-0")),
            (named("Qcur-0", "ROPE"), Some("Qcur_rope-0")),
            (product("Vcur-0", "blk.0.attn_v.weight"), Some("Vcur_mm-0")),
            (named("Vcur-0", "ADD"), Some("Vcur-0")),
            (product("Kcur-0", "blk.0.attn_k.weight"), Some("Kcur_mm-0")),
            (named("Kcur-0", "ADD"), Some("Kcur-0")),
            (named("Kcur-0", "ROPE"), Some("Kcur_rope-0")),
            // Layer 1 has no bias, so its projections are the final ones.
            (product("Qcur-1", "blk.1.attn_q.weight"), Some("Qcur-1")),
            (product("node_30", "blk.0.attn_output.weight"), Some("attn_out-0")),
        ];
        check(&resolver, &rows);
    }

    #[test]
    fn phi3_is_fused_and_its_residual_has_no_name() {
        let output = product("node_20", "blk.3.attn_output.weight");
        let rows_of_it = Made("node_21", "GET_ROWS", vec![output.clone(), leaf("inp_out_ids")]);
        let rope = named("Qcur-3", "ROPE");
        let rows = [
            (product("wqkv-3", "blk.3.attn_qkv.weight"), Some("wqkv-3")),
            (named("Qcur-3", "VIEW"), Some("Qcur-3")),
            (rope.clone(), Some("Qcur_rope-3")),
            (Made("Qcur-3", "SCALE", vec![rope]), Some("Qcur_scaled-3")),
            (named("Kcur-3", "VIEW"), Some("Kcur-3")),
            (named("Vcur-3", "VIEW"), Some("Vcur-3")),
            (output.clone(), Some("attn_out-3")),
            (rows_of_it.clone(), None),
            (Made("node_22", "ADD", vec![output, leaf("l_out-2")]), Some("ffn_inp-3")),
            (Made("node_22", "ADD", vec![rows_of_it, leaf("node_9")]), Some("ffn_inp-3")),
            (Made("node_40", "ADD", vec![named("ffn_out-3", "MUL_MAT"), leaf("x")]), None),
            (named("ffn_swiglu-3", "SWIGLU"), Some("ffn_swiglu-3")),
        ];
        check(&Resolver::default(), &rows);
    }

    #[test]
    fn gpt2_adds_biases_everywhere() {
        let resolver = Resolver::new([
            "blk.0.attn_qkv.bias",
            "blk.0.attn_output.bias",
            "blk.0.ffn_up.bias",
            "blk.0.ffn_down.bias",
        ]);
        let output = product("node_20", "blk.0.attn_output.weight");
        let rows = [
            (named("pos_embd", "GET_ROWS"), Some("pos_embd")),
            (named("inpL", "ADD"), Some("inpL")),
            (named("norm_w-0", "MUL"), None),
            (named("attn_norm-0", "ADD"), Some("attn_norm-0")),
            (product("wqkv-0", "blk.0.attn_qkv.weight"), Some("wqkv-0")),
            (named("wqkv_b-0", "ADD"), Some("wqkv_b-0")),
            (named("Qcur-0", "VIEW"), Some("Qcur-0")),
            (output.clone(), None),
            (Made("node_21", "ADD", vec![output, leaf("blk.0.attn_output.bias")]), Some("attn_out-0")),
            (named("ffn_inp-0", "ADD"), Some("ffn_inp-0")),
            (product("ffn_up-0", "blk.0.ffn_up.weight"), None),
            (named("ffn_up_b-0", "ADD"), Some("ffn_up-0")),
            (named("ffn_gelu-0", "GELU"), Some("ffn_gelu-0")),
            (product("ffn_down-0", "blk.0.ffn_down.weight"), None),
            (named("ffn_out-0", "ADD"), Some("ffn_out-0")),
        ];
        check(&resolver, &rows);
    }

    #[test]
    fn qwen3_and_gemma_norm_more() {
        let post = |name| Made(name, "MUL", vec![leaf("norm"), leaf("blk.2.post_ffw_norm.weight")]);
        let rope = named("Qcur-2", "ROPE");
        let rows = [
            (named("inp_scaled", "SCALE"), Some("inpL")),
            (Made("node_0", "GET_ROWS", vec![leaf("token_embd.weight"), leaf("ids")]), Some("embd")),
            (named("Qcur_normed-2", "MUL"), Some("Qcur_normed-2")),
            (named("Kcur_normed-2", "MUL"), Some("Kcur_normed-2")),
            (Made("node_9", "SCALE", vec![rope]), Some("Qcur_scaled-2")),
            (named("kq_tanh-2", "TANH"), None),
            (named("attn_post_norm-2", "MUL"), Some("attn_post_norm-2")),
            (named("sa_out-2", "ADD"), Some("ffn_inp-2")),
            (named("ffn_geglu-2", "GEGLU"), Some("ffn_gelu-2")),
            (post("ffn_post_norm"), Some("ffn_post_norm-2")),
            (post("ffn_post_norm-2"), Some("ffn_post_norm-2")),
        ];
        check(&Resolver::default(), &rows);
    }

    #[test]
    fn backend_prefixes_do_not_hide_a_node() {
        let weight = product("CUDA0#node_7#0", "CUDA0#blk.1.attn_output.weight#0");
        check(
            &Resolver::default(),
            &[(weight, Some("attn_out-1")), (named("CUDA0#l_out-1#2", "ADD"), Some("l_out-1"))],
        );
    }

    #[test]
    fn strange_names_are_no_checkpoints() {
        for name in ["", "-", "node_1", "l_out", "l_out-x", "result_output_no_bias", "ffn_moe_out-1"] {
            assert_eq!(Resolver::default().resolve(&Made(name, "ADD", vec![])), None, "{name}");
        }
    }
}
