//! One line of a trace as a typed record. Values are located and counted, never read here.

use std::borrow::Cow;
use std::fmt::Display;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::limits::{MAX_PIECE, MAX_POSITION, MAX_VALUES};
use super::scan::{quote, whole_number};
use super::shape::Shape;
use super::{Dtype, Header, scan, values};

/// What a line says.
#[derive(Debug)]
pub enum Record<'a> {
    /// The first line of a run.
    Header {
        /// What could be understood.
        header: Box<Header>,
        /// What could not, if anything.
        problem: Option<String>,
    },
    /// A token opens a position.
    Token {
        /// Its position.
        position: u32,
        /// Its id.
        id: u32,
        /// Its text; bytes that are not UTF-8 are replaced.
        piece: Option<String>,
        /// Whether it came from the prompt, if the line says so.
        from_prompt: Option<bool>,
        /// Tokens in the batch that computed it.
        columns: Option<u32>,
    },
    /// A tensor was recorded.
    Tensor(TensorRecord<'a>),
    /// A position is complete.
    Complete(u32),
    /// Everything from this position on is void.
    Rewind(u32),
    /// The trace has ended.
    End,
}

/// A recorded tensor.
#[derive(Debug)]
pub struct TensorRecord<'a> {
    /// Position.
    pub position: u32,
    /// Name of the checkpoint as the line has it.
    pub name: Cow<'a, str>,
    /// Who computed it.
    pub team: Option<&'a [u8]>,
    /// What the engine calls it, as raw JSON.
    pub tensor: Option<&'a [u8]>,
    /// The operation that made it, as raw JSON.
    pub op: Option<&'a [u8]>,
    /// Type of the recorded values.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Shape,
    /// Values that are there: at most the shape's product.
    pub len: u32,
    /// Where they are.
    pub place: RawPlace,
}

/// Where a record's values are, relative to its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawPlace {
    /// In the sidecar, at this offset in bytes.
    Sidecar(u64),
    /// In the line: offset and length in bytes of the array, brackets included.
    Line(usize, usize),
}

#[derive(Default)]
struct Fields<'a> {
    paritty: Option<&'a [u8]>,
    checkpoint: Option<&'a [u8]>,
    position: Option<&'a [u8]>,
    team: Option<&'a [u8]>,
    tensor: Option<&'a [u8]>,
    op: Option<&'a [u8]>,
    dtype: Option<&'a [u8]>,
    shape: Option<&'a [u8]>,
    offset: Option<&'a [u8]>,
    bytes: Option<&'a [u8]>,
    values: Option<&'a [u8]>,
    token: Option<&'a [u8]>,
    piece: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    columns: Option<&'a [u8]>,
    complete: Option<&'a [u8]>,
    rewind: Option<&'a [u8]>,
    end: Option<&'a [u8]>,
}

/// Reads one line, without its newline. The error is a short reason for [`super::Notes::skipped`].
/// `has_header` says whether this run began with a header; it decides how a shape is read.
pub fn parse(line: &[u8], has_header: bool) -> Result<Record<'_>, Cow<'static, str>> {
    let mut fields = Fields::default();
    scan::object(line, |key, raw| {
        let slot = match key {
            b"checkpoint" => &mut fields.checkpoint,
            b"token_idx" => &mut fields.position,
            b"team" => &mut fields.team,
            b"tensor" => &mut fields.tensor,
            b"op" => &mut fields.op,
            b"dtype" => &mut fields.dtype,
            b"shape" => &mut fields.shape,
            b"offset" => &mut fields.offset,
            b"bytes" => &mut fields.bytes,
            b"values" => &mut fields.values,
            b"token" => &mut fields.token,
            b"piece" => &mut fields.piece,
            b"from" => &mut fields.from,
            b"columns" => &mut fields.columns,
            b"complete" => &mut fields.complete,
            b"rewind" => &mut fields.rewind,
            b"end" => &mut fields.end,
            b"paritty" => &mut fields.paritty,
            _ => return,
        };
        *slot = (raw != b"null").then_some(raw);
    })?;

    if fields.paritty.is_some() {
        let (header, problem) = Header::from_line(line)?;
        return Ok(Record::Header { header: Box::new(header), problem });
    }
    if let Some(checkpoint) = fields.checkpoint {
        return tensor(line, checkpoint, &fields, has_header).map(Record::Tensor);
    }
    if let Some(raw) = fields.rewind {
        return Ok(Record::Rewind(number("rewind", raw, u64::from(MAX_POSITION))? as u32));
    }
    if fields.token.is_some() || fields.piece.is_some() {
        return token(&fields);
    }
    if fields.complete == Some(b"true") {
        return Ok(Record::Complete(position(&fields)?));
    }
    if fields.end == Some(b"true") {
        return Ok(Record::End);
    }
    Err("no record: neither `checkpoint` nor `token`, `complete`, `rewind` or `end`".into())
}

fn tensor<'a>(
    line: &'a [u8],
    checkpoint: &'a [u8],
    fields: &Fields<'a>,
    has_header: bool,
) -> Result<TensorRecord<'a>, Cow<'static, str>> {
    let position = position(fields)?;
    let name = string("checkpoint", checkpoint)?;
    let in_sidecar = fields.offset.is_some();
    let dtype = match fields.dtype {
        Some(b"\"f32\"") | None => Dtype::F32,
        Some(raw) => dtype(&string("dtype", raw)?, in_sidecar)?,
    };
    let shape = fields.shape.map(|raw| Shape::parse(raw, has_header)).transpose()?;

    let (count, place) = if let Some(offset) = fields.offset {
        let offset = number("offset", offset, i64::MAX as u64)?;
        let size = dtype.size() as u64;
        let bytes = match (fields.bytes, shape) {
            (Some(raw), _) => number("bytes", raw, MAX_VALUES * size)?,
            (None, Some(shape)) => shape.len() * size,
            (None, None) => return Err("neither `bytes` nor `shape` says how long the values are".into()),
        };
        if bytes % size != 0 {
            return Err(format!("bytes: {bytes} is no multiple of the {size} bytes of one {dtype}").into());
        }
        if offset.checked_add(bytes).is_none_or(|end| end > i64::MAX as u64) {
            return Err("offset: beyond any file".into());
        }
        (bytes / size, RawPlace::Sidecar(offset))
    } else {
        let raw = fields.values.ok_or("neither `values` nor `offset`: the record has no values")?;
        if raw.first() != Some(&b'[') {
            return Err("values: a list was expected".into());
        }
        // `raw` is a part of `line`, so the difference of their addresses is its place in it.
        let start = raw.as_ptr().addr() - line.as_ptr().addr();
        (values::count(raw), RawPlace::Line(start, raw.len()))
    };

    let shape = match shape {
        Some(shape) => shape,
        None if count == 0 => return Err("neither `shape` nor any value".into()),
        None => Shape::row(count as u32),
    };
    if count > shape.len() {
        return Err(
            format!("{count} values, but the shape {:?} has room for {}", shape.axes(), shape.len()).into()
        );
    }
    let Fields { team, tensor, op, .. } = *fields;
    Ok(TensorRecord { position, name, team, tensor, op, dtype, shape, len: count as u32, place })
}

/// As text any float type is f32 once read; in a sidecar the bytes have to be a type we know.
fn dtype(name: &str, in_sidecar: bool) -> Result<Dtype, Cow<'static, str>> {
    match name.parse() {
        Ok(dtype) => Ok(dtype),
        Err(_) if !in_sidecar && matches!(name, "f64" | "float64" | "double" | "torch.float64") => {
            Ok(Dtype::F32)
        }
        Err(problem) => Err(problem.into()),
    }
}

fn token<'a>(fields: &Fields<'a>) -> Result<Record<'a>, Cow<'static, str>> {
    let position = position(fields)?;
    let raw = fields.token.ok_or("token: the id is missing")?;
    let id = number("token", raw, u64::from(u32::MAX))? as u32;
    let piece = fields.piece.map(|raw| lossy("piece", raw)).transpose()?.map(|mut piece| {
        piece.truncate(piece.floor_char_boundary(MAX_PIECE));
        piece
    });
    let from_prompt = match fields.from {
        Some(raw) => Some(string("from", raw)? == "prompt"),
        None => None,
    };
    let columns =
        fields.columns.map(|raw| number("columns", raw, u64::from(u32::MAX))).transpose()?.map(|n| n as u32);
    Ok(Record::Token { position, id, piece, from_prompt, columns })
}

fn position(fields: &Fields<'_>) -> Result<u32, Cow<'static, str>> {
    let raw = fields.position.ok_or("token_idx is missing")?;
    Ok(number("token_idx", raw, u64::from(MAX_POSITION))? as u32)
}

fn number(name: &str, raw: &[u8], max: u64) -> Result<u64, Cow<'static, str>> {
    whole_number(raw).filter(|&n| n <= max).ok_or_else(|| {
        format!("{name}: a whole number from 0 to {max} was expected, not `{}`", quote(raw)).into()
    })
}

/// A JSON string; borrowed unless it has escapes.
fn string(name: impl Display, raw: &[u8]) -> Result<Cow<'_, str>, Cow<'static, str>> {
    let text = std::str::from_utf8(raw).map_err(|_| format!("{name}: not UTF-8"))?;
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        Some(_) => {
            serde_json::from_str(text).map(Cow::Owned).map_err(|_| format!("{name}: a bad string").into())
        }
        None => Err(format!("{name}: a string was expected, not `{}`", quote(raw)).into()),
    }
}

/// A JSON string that may hold broken UTF-8 or half a surrogate pair, as a token that is a part of
/// a character does in loggers that do not escape it. What is no character is replaced.
fn lossy(name: &str, raw: &[u8]) -> Result<String, Cow<'static, str>> {
    if raw.first() != Some(&b'"') {
        return Err(format!("{name}: a string was expected, not `{}`", quote(raw)).into());
    }
    let text = serde_json::from_slice::<Lossy>(raw).map(|lossy| lossy.0);
    Ok(text.unwrap_or_else(|_| String::from_utf8_lossy(&raw[1..raw.len() - 1]).into_owned()))
}

struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        // serde_json hands strings over as bytes without checking that they are UTF-8.
        from.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(line: &str) -> TensorRecord<'_> {
        match parse(line.as_bytes(), false) {
            Ok(Record::Tensor(record)) => record,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_studys_form_is_read() {
        let line = r#"{"ts":"2025-01-01T00:00:00Z","source":"llama.cpp","file":"a.cpp","line":12,"team":"rust","checkpoint":"logits","token_idx":3,"dtype":"f32","shape":"[1,151936]","values":[1.000000,-1e308,0.5]}"#;
        let record = tensor(line);
        assert_eq!((record.position, &*record.name, record.len), (3, "logits", 3));
        assert_eq!(record.shape.axes(), [151936]);
        assert_eq!(record.team, Some(&b"\"rust\""[..]));
        let RawPlace::Line(start, length) = record.place else { panic!() };
        assert_eq!(&line[start..start + length], "[1.000000,-1e308,0.5]");
    }

    #[test]
    fn a_sidecar_record_is_read() {
        let record = tensor(
            r#"{"checkpoint":"Qcur_rope-0","tensor":"Qcur-0","op":"ROPE","token_idx":0,"dtype":"bf16","shape":[64,32],"offset":4096,"bytes":4096}"#,
        );
        assert_eq!((record.dtype, record.len, record.place), (Dtype::Bf16, 2048, RawPlace::Sidecar(4096)));
        assert_eq!(record.shape.axes(), [64, 32]);
        let partial = tensor(r#"{"checkpoint":"embd","token_idx":0,"shape":[10],"offset":0,"bytes":8}"#);
        assert_eq!((partial.len, partial.shape.len()), (2, 10));
        let whole = tensor(r#"{"checkpoint":"embd","token_idx":0,"dtype":"f16","shape":[10],"offset":6}"#);
        assert_eq!(whole.len, 10);
    }

    #[test]
    fn keys_come_in_any_order_and_shape_may_be_absent() {
        let record =
            tensor(r#"{"values":[1,"NaN"],"token_idx":0,"checkpoint":"l\u005fout-0","dtype":"float64"}"#);
        assert_eq!((&*record.name, record.len, record.shape.axes()), ("l_out-0", 2, &[2][..]));
    }

    #[test]
    fn token_lines_are_read_even_with_broken_text() {
        let Ok(Record::Token {
            position: 2,
            id: 5,
            piece: Some(piece),
            from_prompt: Some(false),
            columns: None,
        }) = parse(br#"{"token_idx":2,"token":5,"piece":"\u001b[2J\n","from":"sample"}"#, true)
        else {
            panic!()
        };
        assert_eq!(piece, "\u{1b}[2J\n");
        for line in [
            &b"{\"token_idx\":0,\"token\":1,\"piece\":\"a\xE2\x82\"}"[..],
            br#"{"token_idx":0,"token":1,"piece":"a\ud83d"}"#,
        ] {
            let Ok(Record::Token { piece: Some(piece), .. }) = parse(line, true) else { panic!() };
            assert!(piece.starts_with('a') && piece.contains('\u{FFFD}'), "{piece:?}");
        }
    }

    #[test]
    fn contradictions_and_missing_parts_are_named() {
        let cases = [
            (r#"{"token_idx":0}"#, "no record"),
            (r#"{"checkpoint":"embd","values":[1]}"#, "token_idx"),
            (r#"{"checkpoint":"embd","token_idx":-1,"values":[1]}"#, "token_idx"),
            (r#"{"checkpoint":"embd","token_idx":99999999,"values":[1]}"#, "token_idx"),
            (r#"{"checkpoint":"embd","token_idx":0}"#, "values"),
            (r#"{"checkpoint":"embd","token_idx":0,"values":1}"#, "values"),
            (r#"{"checkpoint":"embd","token_idx":0,"shape":[1],"values":[1,2]}"#, "2 values"),
            (r#"{"checkpoint":"embd","token_idx":0,"dtype":"q4","values":[1]}"#, "dtype"),
            (r#"{"checkpoint":"embd","token_idx":0,"dtype":"f64","shape":[1],"offset":0}"#, "dtype"),
            (r#"{"checkpoint":"embd","token_idx":0,"shape":[2],"offset":0,"bytes":7}"#, "bytes"),
            (
                r#"{"checkpoint":"embd","token_idx":0,"shape":[2],"offset":9223372036854775807,"bytes":8}"#,
                "offset",
            ),
            (r#"{"checkpoint":"embd","token_idx":0,"shape":[2],"offset":99999999999999999999}"#, "offset"),
            (r#"{"checkpoint":"embd","token_idx":0,"shape":[999999999],"offset":0}"#, "shape"),
            (r#"{"checkpoint":7,"token_idx":0,"values":[1]}"#, "checkpoint"),
            (r#"{"token_idx":0,"token":"x"}"#, "token"),
            (r#"{"token_idx":0,"piece":"x"}"#, "token"),
        ];
        for (line, part) in cases {
            let problem = parse(line.as_bytes(), false).expect_err(line);
            assert!(problem.contains(part), "{line}: {problem}");
        }
    }
}
