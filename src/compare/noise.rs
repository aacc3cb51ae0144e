//! The noise floor: how far two correct implementations differ, by checkpoint, weight type and
//! depth. Figures come from `noise.tsv`, whose header says how they were measured.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::rounding::Activations;
use crate::model::{Checkpoint, Phase, Site};
use crate::trace::Header;

static TABLE: LazyLock<HashMap<(Class, Site), [f32; BUCKETS]>> = LazyLock::new(|| {
    let mut table: HashMap<(Class, Site), [f32; BUCKETS]> = HashMap::new();
    let rows = parse(include_str!("noise.tsv"));
    for row in &rows {
        table.entry((row.class, row.site)).or_insert([f32::NAN; BUCKETS])[row.bucket as usize] = row.floor;
    }
    // A depth that no measured model had is like the nearest one that some had.
    for floors in table.values_mut() {
        let measured = *floors;
        for (i, floor) in floors.iter_mut().enumerate() {
            let near = (0..BUCKETS).filter(|&k| !measured[k].is_nan()).min_by_key(|k| k.abs_diff(i));
            *floor = near.map_or(*floor, |k| measured[k]);
        }
    }
    table
});

/// Depth buckets of the table; see [`bucket`].
pub const BUCKETS: usize = 4;

/// The measured site whose noise an unmeasured one shares.
fn like(site: Site) -> Site {
    #[allow(clippy::enum_glob_use, reason = "a table of sites")]
    use Site::*;
    match site {
        PosEmbd | InpL => Embd,
        Wqkv | WqkvB | QcurMm | QcurNormed => Qcur,
        KcurMm | KcurNormed => Kcur,
        VcurMm => Vcur,
        QcurScaled => QcurRope,
        AttnPostNorm => AttnOut,
        FfnGelu => FfnSwiglu,
        FfnPostNorm => FfnOut,
        other => other,
    }
}

/// Which arithmetic separates the two runs: the coarser of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Both compute in f32 or better, keys and values included.
    Exact,
    /// Products in f32 or better; keys and values in f16, or fused attention.
    KvF16,
    /// Activations rounded to f16 or bf16 somewhere.
    Half,
    /// Activations as Q8_0 blocks.
    Q8,
    /// K-quants and legacy types of four to six bits: activations as Q8_K or Q8_1 blocks.
    Q4,
}

impl Class {
    /// As the table spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::KvF16 => "kv-f16",
            Self::Half => "half",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }

    const ALL: [Self; 5] = [Self::Exact, Self::KvF16, Self::Half, Self::Q8, Self::Q4];
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    class: Class,
    site: Site,
    /// 0: outside layers or layer 0; 1, 2, 3: thirds of the remaining depth.
    bucket: u8,
    floor: f32,
}

/// Lines of the table: class, site, depth bucket, floor; `#` begins a comment. The table is part of
/// the program, so a line that does not parse is left out and found by a test.
fn parse(text: &str) -> Vec<Row> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let class = fields.next()?;
            let class = Class::ALL.into_iter().find(|c| c.name() == class)?;
            let name = fields.next()?;
            let at: Checkpoint = name.parse().or_else(|_| format!("{name}-0").parse()).ok()?;
            Some(Row {
                class,
                site: at.site(),
                bucket: fields.next()?.parse().ok()?,
                floor: fields.next()?.parse().ok()?,
            })
        })
        .collect()
}

/// The table's depth bucket of a layer.
pub fn bucket(checkpoint: Checkpoint, layers: usize) -> u8 {
    match checkpoint.layer_index() {
        None | Some(0) => 0,
        Some(layer) => {
            let depth = layer as f64 / layers.saturating_sub(1).max(1) as f64;
            ((depth * 3.0).ceil() as u8).clamp(1, 3)
        }
    }
}

/// The noise floor for one pair of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    class: Class,
    kv_exact: bool,
    /// What keeping keys and values in blocks or in bf16 does to a row; 0 where they are kept better.
    cache: f64,
    activations: Activations,
    /// Products on the device may be rounded further.
    cuda: bool,
    remark: Option<String>,
}

/// What rounding to f16 does to a row: half a unit of the eleventh bit, averaged over the binade.
const F16: f64 = 2.1e-4;
/// Long sums in f32, in another order: measured 2e-7 to 9e-7 for up to 14,336 terms.
const F32: f64 = 1e-6;

impl Noise {
    /// The floor for a pair of runs, from what their headers say.
    pub fn for_pair(reference: Option<&Header>, candidate: Option<&Header>) -> Self {
        let sides = [reference, candidate];
        let weights = sides.into_iter().flatten().find_map(|h| h.model.weights.as_deref());
        let exact = sides.iter().all(|h| h.is_some_and(computes_exactly));
        let kv_exact = sides.iter().all(|h| h.is_some_and(keeps_kv));
        let cuda = sides.into_iter().flatten().any(Header::is_cuda);
        let mut remark = None;
        let class = match weights.map(weight_class) {
            _ if exact => Class::KvF16,
            Some(Some(class)) => class,
            Some(None) => {
                remark = Some(format!(
                    "no noise figures for weight type {}: those of four-bit types are used",
                    weights.unwrap_or_default()
                ));
                Class::Q4
            }
            None => {
                remark = Some(
                    "the traces do not say which weight type was used: the noise of four-bit types is allowed"
                        .to_owned(),
                );
                Class::Q4
            }
        };
        let activations = match class {
            Class::Exact | Class::KvF16 => Activations::Kept,
            Class::Half => Activations::Short { bits: if weights == Some("BF16") { 8 } else { 11 } },
            Class::Q8 => Activations::Blocks { block: 32 },
            Class::Q4 => Activations::Blocks { block: 256 },
        };
        let tabled = sides.into_iter().flatten().any(takes_gelu_from_a_table);
        let class = if class == Class::KvF16 && kv_exact && !cuda && !tabled { Class::Exact } else { class };
        let cache = sides.into_iter().flatten().map(rounds_kv).fold(0.0, f64::max);
        Self { class, kv_exact, cache, activations, cuda, remark }
    }

    /// How activations are rounded before products.
    pub fn activations(&self) -> Activations {
        self.activations
    }

    /// The class of the pair.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What a reader of the report should know about the choice of floor.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// The relative error up to which two correct runs differ at `checkpoint` when both compute
    /// everything themselves.
    pub fn floor(&self, checkpoint: Checkpoint, layers: usize) -> f32 {
        let bucket = bucket(checkpoint, layers);
        let at = |site: Site| TABLE.get(&(self.class, site)).map(|floors| floors[bucket as usize]);
        let site = checkpoint.site();
        let mut floor = at(site).or_else(|| at(like(site))).unwrap_or(0.1);
        if self.cache > 0.0 && checkpoint >= Checkpoint::layer(Site::Kq, 0) {
            floor = floor.max(3.0 * self.cache as f32);
        }
        if self.cuda {
            // TF32 and f16 accumulation add to every product behind the first norm.
            let early = checkpoint.site().phase() == Phase::Input
                || (checkpoint.site() == Site::AttnNorm && checkpoint.layer_index() == Some(0));
            floor = if early { floor } else { floor.max(4e-3) * 1.5 };
        }
        floor
    }

    /// The relative error that one operation's own arithmetic adds, its inputs being equal; for
    /// products use [`Noise::product`] where the input is known.
    ///
    /// Angles of RoPE are computed in f32: their rounding grows with the position, 2e-7 for each
    /// (llama.cpp multiplies its way from pair to pair).
    pub fn fresh(&self, site: Site, position: u32) -> f64 {
        #[allow(clippy::enum_glob_use, reason = "a table of sites")]
        use Site::*;
        let kv = if self.kv_exact { F32 } else { (2.0 * F16).hypot(2.0 * self.cache) };
        match site {
            Embd | PosEmbd => 2e-7,
            Kq | KqvOut => kv,
            QcurRope | KcurRope => F32 + 2e-7 * f64::from(position),
            // GELU is taken from a table of f16 by llama.cpp.
            FfnGelu => 3.5e-4,
            Wqkv | QcurMm | KcurMm | VcurMm | Qcur | Kcur | Vcur | AttnOut | FfnGate | FfnUp | FfnOut
            | ResultOutput => match self.class {
                Class::Exact | Class::KvF16 => self.product(0.0),
                Class::Half => self.product(F16),
                // Gaussian rows: amax of 32 is 2.1, of 256 it is 2.8 standard deviations.
                Class::Q8 => self.product(5.5e-3),
                Class::Q4 => self.product(7.5e-3),
            },
            _ => F32,
        }
    }

    /// The relative error of a matrix product whose input loses `rounding` by being rounded.
    pub fn product(&self, rounding: f64) -> f64 {
        // On CUDA: TF32 (8.6e-4), f16 accumulation (1.1e-3), f16 scales of Q4_K (3.9e-2).
        let device = match self.class {
            _ if !self.cuda => 0.0,
            Class::Q4 => 4e-2,
            _ => 1.1e-3,
        };
        F32.hypot(rounding).hypot(device)
    }
}

fn computes_exactly(header: &Header) -> bool {
    let f32_weights = header.model.weights.as_deref() == Some("F32");
    matches!(header.settings.arithmetic.as_deref(), Some("f32" | "f64")) || f32_weights
}

/// llama.cpp on a CPU takes GELU from a table of f16, whatever the weights are: 3.5e-4 of a row.
fn takes_gelu_from_a_table(header: &Header) -> bool {
    let has_gelu = header.model.arch == "gpt2" || header.model.arch.starts_with("gemma");
    has_gelu && header.settings.arithmetic.as_deref() == Some("llama.cpp")
}

fn keeps_kv(header: &Header) -> bool {
    matches!(header.settings.kv.as_deref(), Some("f32" | "f64")) && header.settings.flash_attn == Some(false)
}

/// Blocks of 32 with one scale, by bits: amax of Gaussian rows is 2.1 standard deviations, a value is off by
/// 1/√12 of a step.
fn rounds_kv(header: &Header) -> f64 {
    match header.settings.kv.as_deref() {
        Some("bf16") => 1.7e-3,
        Some("q8_0") => 5.5e-3,
        Some("q5_0" | "q5_1") => 0.04,
        Some("q4_0" | "q4_1" | "iq4_nl") => 0.08,
        _ => 0.0,
    }
}

fn weight_class(weights: &str) -> Option<Class> {
    let upper = weights.to_ascii_uppercase();
    match upper.as_str() {
        "F32" | "F64" => Some(Class::KvF16),
        "F16" | "BF16" => Some(Class::Half),
        "Q8_0" => Some(Class::Q8),
        _ if ["Q4", "Q5", "Q6"].iter().any(|p| upper.starts_with(p)) => Some(Class::Q4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{ModelInfo, Settings};

    fn header(weights: &str, arithmetic: &str, kv: &str) -> Header {
        Header {
            paritty: 1,
            model: ModelInfo { weights: Some(weights.to_owned()), ..ModelInfo::default() },
            settings: Settings {
                arithmetic: Some(arithmetic.to_owned()),
                kv: Some(kv.to_owned()),
                flash_attn: Some(false),
                ..Settings::default()
            },
            ..Header::default()
        }
    }

    #[test]
    fn every_line_of_the_table_is_read_and_every_class_reaches_the_logits() {
        let lines =
            include_str!("noise.tsv").lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
        assert_eq!(parse(include_str!("noise.tsv")).len(), lines);
        for class in Class::ALL {
            for info in crate::model::checkpoint::SITES {
                let floors = TABLE.get(&(class, info.site)).or(TABLE.get(&(class, like(info.site))));
                let floors = floors.unwrap_or_else(|| panic!("{class:?} {:?}", info.site));
                assert!(floors.iter().all(|f| *f > 0.0 && *f < 1.0), "{class:?} {:?} {floors:?}", info.site);
            }
        }
    }

    #[test]
    fn the_coarser_side_decides() {
        let class = |a: &Header, b: &Header| Noise::for_pair(Some(a), Some(b)).class();
        let oracle = header("Q4_K", "f64", "f64");
        let cpu = header("Q4_K", "f32", "f32");
        let llama = header("Q4_K", "llama.cpp", "f16");
        assert_eq!(class(&oracle, &cpu), Class::Exact);
        assert_eq!(class(&oracle, &header("Q4_K", "f32", "f16")), Class::KvF16);
        assert_eq!(class(&llama, &cpu), Class::Q4);
        assert_eq!(class(&header("F16", "llama.cpp", "f16"), &header("F16", "f32", "f32")), Class::Half);
        let pair = |arch: &str| {
            let mut sides = [header("F32", "llama.cpp", "f32"), header("F32", "f32", "f32")];
            for side in &mut sides {
                arch.clone_into(&mut side.model.arch);
            }
            class(&sides[0], &sides[1])
        };
        assert_eq!(pair("llama"), Class::Exact);
        assert_eq!((pair("gpt2"), pair("gemma3")), (Class::KvF16, Class::KvF16), "GELU is rounded to f16");
    }

    #[test]
    fn a_quantised_cache_is_as_coarse_as_its_blocks() {
        let (plain, coarse) = (header("F16", "llama.cpp", "f16"), header("F16", "llama.cpp", "q8_0"));
        let noise = |a, b| Noise::for_pair(Some(a), Some(b));
        let (fine, rough) = (noise(&plain, &plain), noise(&plain, &coarse));
        assert!(rough.fresh(Site::KqvOut, 3) > 10.0 * fine.fresh(Site::KqvOut, 3));
        assert_eq!(rough.fresh(Site::AttnNorm, 3), fine.fresh(Site::AttnNorm, 3));
        let at = Checkpoint::layer(Site::AttnNorm, 0);
        assert_eq!(rough.floor(at, 4), fine.floor(at, 4), "before the cache is read");
    }

    #[test]
    fn unknown_weights_get_the_loosest_floor_and_a_remark() {
        let unknown = Noise::for_pair(None, None);
        assert_eq!(unknown.class(), Class::Q4);
        assert!(unknown.remark().is_some());
        let odd = header("TQ1_0", "llama.cpp", "f16");
        assert!(Noise::for_pair(Some(&odd), Some(&odd)).remark().is_some_and(|r| r.contains("TQ1_0")));
    }

    #[test]
    fn the_first_norm_is_held_to_rounding_whatever_the_weights() {
        let llama = header("Q4_K", "llama.cpp", "f16");
        let noise = Noise::for_pair(Some(&llama), Some(&llama));
        // A wrong epsilon shows as 4e-4 and more there.
        assert!(noise.floor("attn_norm-0".parse().unwrap(), 4) < 1e-5);
        assert!(noise.floor("embd".parse().unwrap(), 4) < 1e-5);
        assert!(noise.floor("attn_norm-1".parse().unwrap(), 4) > 1e-3);
    }
}
