//! The table of tensors.

use std::collections::HashMap;
use std::path::Path;

use super::GgufError;
use super::cursor::Cursor;
use super::quant::WeightType;

/// Longest tensor name in bytes. ggml itself stops at 63.
const MAX_NAME: usize = 255;

/// ggml's limit (GGML_MAX_DIMS).
const MAX_DIMS: u32 = 4;

/// Far more than any model has.
const MAX_TENSORS: u64 = 1 << 20;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Elements along each axis, fastest first (ggml's order): a matrix is [n_in, n_out].
    pub shape: Vec<u64>,
    /// How its values are stored.
    pub weight_type: WeightType,
    /// First byte, counted from the start of the data section.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Elements of one row (the fastest axis).
    pub fn row_len(&self) -> usize {
        self.shape.first().map_or(1, |&n| n as usize)
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        let format = self.weight_type.format();
        self.row_len() / format.block_len * format.block_bytes
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shape.iter().skip(1).product::<u64>() as usize
    }
}

/// Bytes that `shape` takes in `weight_type`, or why it cannot be stored so.
pub(super) fn byte_len(shape: &[u64], weight_type: WeightType) -> Result<u64, String> {
    let format = weight_type.format();
    if shape.contains(&0) {
        return Err(format!("shape {shape:?} has an axis of length 0"));
    }
    let row = shape.first().copied().unwrap_or(1);
    if !row.is_multiple_of(format.block_len as u64) {
        return Err(format!(
            "a row of {row} elements cannot be {}, which stores blocks of {}",
            format.name, format.block_len
        ));
    }
    shape
        .iter()
        .try_fold(1_u64, |n, &axis| n.checked_mul(axis))
        .and_then(|n| (n / format.block_len as u64).checked_mul(format.block_bytes as u64))
        .filter(|&bytes| i64::try_from(bytes).is_ok())
        .ok_or_else(|| format!("shape {shape:?} has more elements than a file can hold"))
}

/// Reads `count` entries of the table. Offsets are checked later, by [`check_extents`].
pub(super) fn read_table(
    cursor: &mut Cursor<'_>,
    path: &Path,
    count: u64,
) -> Result<(Vec<TensorInfo>, HashMap<String, usize>), GgufError> {
    if count > MAX_TENSORS {
        return Err(GgufError::file(
            path,
            format!("the file claims {count} tensors, at most {MAX_TENSORS} are allowed: it is damaged"),
        ));
    }
    // Grown as entries are read: a hostile count costs nothing.
    let mut tensors = Vec::new();
    let mut index = HashMap::new();
    for i in 0..count {
        let tensor = read_one(cursor, path, i)?;
        if index.insert(tensor.name.clone(), tensors.len()).is_some() {
            return Err(GgufError::tensor(path, &tensor.name, "occurs twice: convert the model again"));
        }
        tensors.push(tensor);
    }
    Ok((tensors, index))
}

fn read_one(cursor: &mut Cursor<'_>, path: &Path, i: u64) -> Result<TensorInfo, GgufError> {
    let name = cursor.name(&format!("the name of tensor {i}"), MAX_NAME)?;
    let fail = |problem: String| GgufError::tensor(path, name, problem);
    let what = format!("the entry of tensor `{}`", crate::text::safe_short(name, 80));
    let dims = cursor.u32(&what)?;
    if dims > MAX_DIMS {
        return Err(fail(format!("has {dims} axes, at most {MAX_DIMS} are possible: the file is damaged")));
    }
    let shape = (0..dims).map(|_| cursor.u64(&what)).collect::<Result<Vec<_>, _>>()?;
    let id = cursor.u32(&what)?;
    let offset = cursor.u64(&what)?;
    let weight_type = WeightType::from_id(id).ok_or_else(|| {
        fail(format!(
            "is of ggml type {id}, which this version of paritty does not know: quantise the model to another type"
        ))
    })?;
    let bytes = byte_len(&shape, weight_type).map_err(fail)?;
    Ok(TensorInfo { name: name.to_owned(), shape, weight_type, offset, bytes })
}

/// Every tensor aligned, inside a data section of `available` bytes, and none over another.
pub(super) fn check_extents(
    tensors: &[TensorInfo],
    path: &Path,
    alignment: u64,
    available: u64,
) -> Result<(), GgufError> {
    for t in tensors {
        let fail = |problem: String| Err(GgufError::tensor(path, &t.name, problem));
        if !t.offset.is_multiple_of(alignment) {
            return fail(format!("starts at byte {} of the data, not a multiple of {alignment}", t.offset));
        }
        if t.offset.checked_add(t.bytes).is_none_or(|end| end > available) {
            return fail(format!(
                "takes {} bytes from byte {} of the data, but the file has only {available}: it is truncated, fetch it again",
                t.bytes, t.offset
            ));
        }
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|t| t.offset);
    for pair in order.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            return Err(GgufError::tensor(
                path,
                &pair[1].name,
                format!(
                    "overlaps tensor `{}`: the file is damaged",
                    crate::text::safe_short(&pair[0].name, 80)
                ),
            ));
        }
    }
    Ok(())
}
