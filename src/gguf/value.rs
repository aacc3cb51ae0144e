//! Metadata values, borrowed from the mapped file.

use super::GgufError;
use super::cursor::Cursor;

/// Type of a metadata value, as the file numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Unsigned, 8 bits.
    U8 = 0,
    /// Signed, 8 bits.
    I8 = 1,
    /// Unsigned, 16 bits.
    U16 = 2,
    /// Signed, 16 bits.
    I16 = 3,
    /// Unsigned, 32 bits.
    U32 = 4,
    /// Signed, 32 bits.
    I32 = 5,
    /// Single precision.
    F32 = 6,
    /// One byte, 0 or 1.
    Bool = 7,
    /// Length and bytes.
    Str = 8,
    /// Element type, length and elements.
    Array = 9,
    /// Unsigned, 64 bits.
    U64 = 10,
    /// Signed, 64 bits.
    I64 = 11,
    /// Double precision.
    F64 = 12,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Str,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    pub(super) fn from_id(id: u32) -> Option<Self> {
        Self::ALL.get(id as usize).copied()
    }

    /// Bytes of one value, where that is fixed.
    fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Str | Self::Array => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::Str => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }
}

/// A metadata value. Strings are bytes: the format asks for UTF-8, vocabularies do not always keep to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Single or double precision.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A string's bytes.
    Str(&'a [u8]),
    /// A list.
    Array(Array<'a>),
}

/// A list in the mapped file; elements are decoded as they are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    kind: Kind,
    len: usize,
    bytes: &'a [u8],
}

/// Arrays of arrays deeper than this are refused; nobody writes even two levels.
const MAX_NESTING: usize = 4;

impl<'a> Value<'a> {
    /// Decodes a value whose extent [`skip`] has checked.
    pub(super) fn decode(kind: Kind, bytes: &'a [u8]) -> Option<Self> {
        Some(match kind {
            Kind::Str => Self::Str(bytes.get(8..)?),
            Kind::Array => {
                let (head, bytes) = bytes.split_at_checked(12)?;
                let (id, len) = head.split_at(4);
                let kind = Kind::from_id(u32::from_le_bytes(id.try_into().ok()?))?;
                let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
                Self::Array(Array { kind, len, bytes })
            }
            scalar => Self::scalar(scalar, bytes)?,
        })
    }

    fn scalar(kind: Kind, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            Kind::U8 => Self::Unsigned(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::U16 => Self::Unsigned(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::U32 => Self::Unsigned(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::U64 => Self::Unsigned(u64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::I8 => Self::Signed(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I16 => Self::Signed(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I32 => Self::Signed(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I64 => Self::Signed(i64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::F32 => Self::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::F64 => Self::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Bool => Self::Bool(*bytes.first()? != 0),
            Kind::Str | Kind::Array => return None,
        })
    }

    /// The value as an integer of any width.
    pub fn as_int(&self) -> Option<i128> {
        match *self {
            Self::Unsigned(v) => Some(v.into()),
            Self::Signed(v) => Some(v.into()),
            _ => None,
        }
    }

    /// The value as single precision.
    pub fn as_f32(&self) -> Option<f32> {
        if let Self::Float(v) = *self { Some(v as f32) } else { None }
    }

    /// The value as a truth value.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(v) = *self { Some(v) } else { None }
    }

    /// The value as text, if it is UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        if let Self::Str(v) = *self { std::str::from_utf8(v).ok() } else { None }
    }

    /// The value as a list.
    pub fn as_array(&self) -> Option<Array<'a>> {
        if let Self::Array(v) = *self { Some(v) } else { None }
    }

    /// What it is, for an error: `an integer`, `a list of 3 string`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Unsigned(v) => format!("the integer {v}"),
            Self::Signed(v) => format!("the integer {v}"),
            Self::Float(v) => format!("the number {v}"),
            Self::Bool(v) => format!("the truth value {v}"),
            Self::Str(v) if std::str::from_utf8(v).is_err() => "a string that is not UTF-8".to_owned(),
            Self::Str(v) => {
                format!("the string `{}`", crate::text::safe_short(&String::from_utf8_lossy(v), 40))
            }
            Self::Array(v) => format!("a list of {} {}", v.len, v.kind.name()),
        }
    }
}

impl<'a> Array<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Type of the elements.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The elements, if they are strings.
    pub fn strs(&self) -> Option<Strs<'a>> {
        (self.kind == Kind::Str).then_some(Strs { left: self.len, bytes: self.bytes })
    }

    /// The elements, if they are numbers or truth values.
    pub fn scalars(&self) -> Option<impl ExactSizeIterator<Item = Value<'a>> + use<'a>> {
        let kind = self.kind;
        let size = kind.size()?;
        // Every chunk has the size that its kind decodes.
        Some(self.bytes.chunks_exact(size).map(move |b| Value::scalar(kind, b).unwrap_or(Value::Bool(false))))
    }
}

/// The strings of a list, in order, borrowed from the file.
#[derive(Clone, Debug)]
pub struct Strs<'a> {
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for Strs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        // Lengths were checked when the file was opened.
        let (len, rest) = self.bytes.split_first_chunk()?;
        let (string, rest) = rest.split_at_checked(u64::from_le_bytes(*len) as usize)?;
        self.bytes = rest;
        Some(string)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Strs<'_> {}

/// Steps over one value, checking every length in it against what the file has left.
pub(super) fn skip(cursor: &mut Cursor<'_>, kind: Kind, key: &str) -> Result<(), ValueError> {
    skip_nested(cursor, kind, key, 0)
}

/// Why a value could not be stepped over.
pub(super) enum ValueError {
    /// The file ends.
    File(GgufError),
    /// The value makes no sense.
    Value(String),
}

impl From<GgufError> for ValueError {
    fn from(error: GgufError) -> Self {
        Self::File(error)
    }
}

fn skip_nested(cursor: &mut Cursor<'_>, kind: Kind, key: &str, depth: usize) -> Result<(), ValueError> {
    let what = || format!("the value of key `{}`", crate::text::safe_short(key, 80));
    if let Some(size) = kind.size() {
        cursor.take(size as u64, &what())?;
    } else if kind == Kind::Str {
        cursor.string(&what())?;
    } else {
        if depth == MAX_NESTING {
            return Err(ValueError::Value(format!("lists are nested more than {MAX_NESTING} deep")));
        }
        let what = what();
        let id = cursor.u32(&what)?;
        let Some(inner) = Kind::from_id(id) else {
            return Err(ValueError::Value(format!("a list of type {id}, known types are 0 to 12")));
        };
        let len = cursor.u64(&what)?;
        match inner.size() {
            Some(size) => {
                let bytes = len
                    .checked_mul(size as u64)
                    .ok_or_else(|| ValueError::Value(format!("a list of {len} elements is impossible")))?;
                cursor.take(bytes, &what)?;
            }
            // Each element takes at least its length's eight bytes, so a hostile count ends with the file.
            None if inner == Kind::Str => {
                for _ in 0..len {
                    cursor.string(&what)?;
                }
            }
            None => {
                for _ in 0..len {
                    skip_nested(cursor, inner, key, depth + 1)?;
                }
            }
        }
    }
    Ok(())
}
