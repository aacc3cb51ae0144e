//! A whole model with its matrices in another type.

use std::io::Write;
use std::path::Path;

use super::encode::{encode, is_written};
use crate::gguf::{Gguf, GgufError, TensorInfo, WeightType, Writer};

/// Types that [`convert`] can write, the most precise first.
pub const WRITTEN: [WeightType; 4] = [WeightType::F32, WeightType::F16, WeightType::Bf16, WeightType::Q8_0];

/// Writes a model's matrices in another type (one of [`WRITTEN`]; others change nothing). Rows that are no
/// whole blocks of it keep their type.
pub fn convert(from: &Gguf, to: WeightType, path: &Path) -> Result<(), GgufError> {
    let mut writer = Writer::new();
    writer.copy_meta(from);
    let fits = |t: &TensorInfo| {
        is_written(to) && t.shape.len() > 1 && t.row_len().is_multiple_of(to.format().block_len)
    };
    for t in from.tensors() {
        writer.tensor(&t.name, &t.shape, if fits(t) { to } else { t.weight_type })?;
    }
    writer.save(path, |target, out: &mut dyn Write| {
        let gone = || std::io::Error::other("tensor is gone");
        let source = from.tensor(&target.name).ok_or_else(gone)?;
        if source.weight_type == target.weight_type {
            return out.write_all(from.data(source));
        }
        let dequantize = from.dequantizer(source).map_err(std::io::Error::other)?;
        let mut values = vec![0.0; source.row_len()];
        let mut bytes = vec![0; target.row_bytes()];
        for row in from.data(source).chunks_exact(source.row_bytes()) {
            dequantize(row, &mut values);
            encode(to, &values, &mut bytes);
            out.write_all(&bytes)?;
        }
        Ok(())
    })
}
