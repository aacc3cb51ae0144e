//! Values of one cell that stand in the text, read in parts so that a long row needs no more memory
//! than its values.

use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memrchr;

use super::cell::Tensor;
use super::values;

/// Bytes of text held at once.
const PART: usize = 64 << 10;

/// Reads the JSON array in `bytes` bytes at `offset`, which the index found to hold `count` values.
/// The error is a sentence without file and line.
pub fn text(
    file: Option<&File>,
    offset: u64,
    bytes: u32,
    count: u32,
    into: &mut Tensor,
) -> Result<(), String> {
    let file = file.ok_or("the file is not open")?;
    into.values.clear();
    into.values.reserve(count as usize);
    into.exact = false;
    let mut left = bytes as usize;
    let mut at = offset;
    let mut part = vec![0; left.min(PART)];
    // `part[..kept]` is the beginning of a value whose end was not read yet.
    let mut kept = 0;
    if count == 0 {
        return Ok(());
    }
    while left > 0 {
        let n = left.min(part.len() - kept);
        if n == 0 {
            return Err(format!("value {} is no number: it is {PART} bytes long", into.values.len()));
        }
        file.read_exact_at(&mut part[kept..kept + n], at).map_err(|e| format!("its values: {e}"))?;
        at += n as u64;
        left -= n;
        let filled = kept + n;
        let end = if left == 0 { filled } else { memrchr(b',', &part[..filled]).unwrap_or(0) };
        if end > 0 {
            values::parse(&part[..end], &mut into.values, &mut into.exact)?;
        }
        // Go on after the comma; with none in sight, go on collecting.
        let next = if end == 0 { 0 } else { (end + 1).min(filled) };
        part.copy_within(next..filled, 0);
        kept = filled - next;
    }
    if into.values.len() == count as usize {
        Ok(())
    } else {
        Err(format!("{} values where {count} were counted; the file was changed", into.values.len()))
    }
}

/// As [`text`], in double precision. For rows of a moderate length: the text is held as a whole.
pub fn wide_text(
    file: Option<&File>,
    offset: u64,
    bytes: u32,
    count: u32,
    into: &mut Vec<f64>,
) -> Result<(), String> {
    let file = file.ok_or("the file is not open")?;
    let mut array = vec![0; bytes as usize];
    file.read_exact_at(&mut array, offset).map_err(|e| format!("its values: {e}"))?;
    if count == 0 {
        return Ok(());
    }
    let mut single = Vec::new();
    for item in array.split(|b| *b == b',') {
        let brackets = |b: &u8| matches!(b, b'[' | b']' | b' ' | b'\t' | b'\r' | b'\n' | b'"');
        let start = item.iter().take_while(|b| brackets(b)).count();
        let end = item.len() - item[start..].iter().rev().take_while(|b| brackets(b)).count();
        let value = if let Ok(value) = fast_float2::parse::<f64, _>(&item[start..end]) {
            value
        } else {
            // Spellings of what is not finite.
            single.clear();
            values::parse(&item[start..end], &mut single, &mut false)?;
            single.first().map_or(f64::NAN, |&x| x.into())
        };
        into.push(value);
    }
    Ok(())
}
