//! Bounds on what a trace may ask for. Each is far beyond honest traces and small enough that a
//! hostile or damaged one cannot exhaust memory or time.

/// Longest line in bytes. A row of 256k logits as text takes about 4 MB; a longer line is read over
/// without being held.
pub const MAX_LINE: usize = 64 << 20;

/// Largest position: sixteen million tokens, beyond any context length.
pub const MAX_POSITION: u32 = 1 << 24;

/// Axes of a shape; ggml and most others have four.
pub const MAX_RANK: usize = 8;

/// Values of one record: 1 GiB as f32, some 1,000 times a row of logits.
pub const MAX_VALUES: u64 = 1 << 28;

/// Oddities kept with their line number; the rest is only counted.
pub const MAX_NOTES: usize = 100;

/// Different unknown checkpoint names that are kept; the rest is counted under one name.
pub const MAX_FOREIGN: usize = 100;

/// Characters kept of a name or text that paritty only quotes.
pub const MAX_QUOTE: usize = 80;

/// Bytes kept of a token's text; the longest pieces of real vocabularies are below 300.
pub const MAX_PIECE: usize = 4096;

/// Brackets within brackets in one value, so that skipping stays honest work.
pub const MAX_DEPTH: usize = 64;

/// Names whose meaning is remembered while indexing: about 40 sites in 200 layers.
pub const MAX_NAMES: usize = 8192;
