//! A Parquet table in long form: one line a value, so that DuckDB and Polars can ask anything of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::{ExportError, Row, Take, finished, unfinished};
use crate::model::Checkpoint;

/// Lines of a group: DuckDB's threads take a group each, and this is what is held.
const GROUP: usize = 1 << 20;
/// Values given to the library at once.
const PIECE: usize = 8192;

/// Layer 0 exists, so checkpoints outside all layers have none (null).
const SCHEMA: &str = "message trace {
    required int32 position (INTEGER(32, false));
    required binary checkpoint (STRING);
    required binary site (STRING);
    optional int32 layer;
    required int32 channel (INTEGER(32, false));
    required float value;
}";

/// A table that is being written.
pub struct Parquet {
    path: PathBuf,
    writer: SerializedFileWriter<tempfile::NamedTempFile>,
    /// Rows of the group so far, and their values one after another.
    rows: Vec<(u32, Checkpoint, u32, u32)>,
    values: Vec<f32>,
}

impl Parquet {
    /// Begins a table that becomes `path`.
    pub fn create(path: &Path) -> Result<Self, ExportError> {
        let file = unfinished(path)?;
        let schema = parse_message_type(SCHEMA).map_err(|e| failed(path, e))?;
        let column = ColumnPath::from;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("paritty ", env!("CARGO_PKG_VERSION")).to_owned())
            // Measured values hardly repeat; counters do, by one.
            .set_column_dictionary_enabled(column("value"), false)
            .set_column_dictionary_enabled(column("channel"), false)
            .set_column_encoding(column("channel"), Encoding::DELTA_BINARY_PACKED)
            .set_max_row_group_row_count(Some(2 * GROUP))
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        let writer = writer.map_err(|e| failed(path, e))?;
        Ok(Self { path: path.to_owned(), writer, rows: Vec::new(), values: Vec::new() })
    }

    fn group(&mut self) -> Result<(), ExportError> {
        if self.values.is_empty() {
            return Ok(());
        }
        let result = write_group(&mut self.writer, &self.rows, &self.values);
        result.map_err(|e| failed(&self.path, e))?;
        self.rows.clear();
        self.values.clear();
        Ok(())
    }
}

fn write_group(
    writer: &mut SerializedFileWriter<tempfile::NamedTempFile>,
    rows: &[(u32, Checkpoint, u32, u32)],
    values: &[f32],
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    let mut numbers: Vec<i32> = Vec::with_capacity(PIECE);
    for column in 0.. {
        let Some(mut out) = group.next_column()? else { break };
        if column == 5 {
            out.typed::<FloatType>().write_batch(values, None, None)?;
            out.close()?;
            continue;
        }
        for &(position, checkpoint, first, count) in rows {
            let (mut at, end) = (first, first + count);
            while at < end {
                let n = (end - at).min(PIECE as u32);
                let length = n as usize;
                match column {
                    1 | 2 => {
                        let name = if column == 1 {
                            checkpoint.to_string()
                        } else {
                            checkpoint.site().name().to_owned()
                        };
                        let names = vec![ByteArray::from(name.into_bytes()); length];
                        out.typed::<ByteArrayType>().write_batch(&names, None, None)?;
                    }
                    3 => {
                        let layer = checkpoint.layer_index();
                        numbers.clear();
                        numbers.resize(if layer.is_some() { length } else { 0 }, layer.unwrap_or(0) as i32);
                        let there = vec![i16::from(layer.is_some()); length];
                        out.typed::<Int32Type>().write_batch(&numbers, Some(&there), None)?;
                    }
                    _ => {
                        numbers.clear();
                        // Unsigned in the schema; positions and channels fit an i32 anyhow.
                        numbers.extend((at..at + n).map(|c| if column == 0 { position } else { c } as i32));
                        out.typed::<Int32Type>().write_batch(&numbers, None, None)?;
                    }
                }
                at += n;
            }
        }
        out.close()?;
    }
    group.close()?;
    Ok(())
}

fn failed(path: &Path, error: ParquetError) -> ExportError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => ExportError::Io { path: path.to_owned(), source: *source },
            Err(other) => ExportError::Format { path: path.to_owned(), problem: other.to_string() },
        },
        other => ExportError::Format { path: path.to_owned(), problem: other.to_string() },
    }
}

impl Take for Parquet {
    fn take(&mut self, row: &Row<'_>) -> Result<(), ExportError> {
        let mut first = 0;
        // A row that is longer than a group is spread over several.
        while first < row.values.len() {
            let n = (row.values.len() - first).min(GROUP - self.values.len());
            self.rows.push((row.position, row.checkpoint, first as u32, n as u32));
            self.values.extend_from_slice(&row.values[first..first + n]);
            first += n;
            if self.values.len() >= GROUP {
                self.group()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        self.group()?;
        let Self { writer, path, .. } = *self;
        let file = writer.into_inner().map_err(|e| failed(&path, e))?;
        finished(file, &path)
    }
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet").field("path", &self.path).finish_non_exhaustive()
    }
}
