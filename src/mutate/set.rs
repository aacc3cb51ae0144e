//! Keys are set to other values.

use super::{Edit, MutateError, Mutation, Settings};
use crate::gguf::Value;

/// See the module.
pub struct Set;

impl Mutation for Set {
    fn id(&self) -> &'static str {
        "set"
    }
    fn title(&self) -> &'static str {
        "keys are set (set:llama.rope.freq_base=500000), or left out (set:KEY=)"
    }
    fn settings(&self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        &[]
    }
    fn apply(&self, edit: &mut Edit<'_>, given: &Settings) -> Result<(), MutateError> {
        for (key, text) in given.all() {
            if text.is_empty() {
                edit.remove_key(key);
                continue;
            }
            let bad = |what: &str| given.error(format!("{key}={text}: expected {what}, as the file has"));
            // The type stays what it is; a new key takes the simplest that fits.
            match edit.gguf().meta(key) {
                Some(value) if value.as_f32().is_some() => {
                    edit.set_float(key, text.parse().map_err(|_| bad("a number"))?);
                }
                Some(value) if value.as_int().is_some() => {
                    edit.set_integer(key, text.parse().map_err(|_| bad("an integer from 0"))?);
                }
                Some(Value::Bool(_)) => edit.set_flag(key, text.parse().map_err(|_| bad("true or false"))?),
                Some(value) if value.as_str().is_some() => edit.set_text(key, text),
                Some(value) => return Err(bad(&format!("nothing: {} cannot be set", value.describe()))),
                None => match (text.parse::<u32>(), text.parse::<f32>()) {
                    (Ok(integer), _) => edit.set_integer(key, integer),
                    (_, Ok(float)) => edit.set_float(key, float),
                    _ => edit.set_text(key, text),
                },
            }
        }
        Ok(())
    }
}
