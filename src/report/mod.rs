//! Reports: what a command has to say, built once as a [`document`], written by any of its formats.
//! `compare` has richer formats of its own beside them.

pub mod compare;
pub mod document;

pub use compare::{FORMATS, Format, Report, format};
