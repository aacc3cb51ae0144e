//! Reports: what a command has to say, built once as a [`crate::document`], written by any of its formats.
//! `compare` has richer formats of its own beside them.

pub mod compare;

pub use compare::{FORMATS, Format, Report, format};
