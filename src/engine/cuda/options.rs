//! How the CUDA backend computes, and on which devices.

use std::fmt;
use std::str::FromStr;

/// How the CUDA backend computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CudaOptions {
    /// Number of the device; of the first one, where there are several.
    pub device: usize,
    /// Keys and values are rounded to f16 when they are stored, as llama.cpp does by default.
    pub kv_f16: bool,
    /// Positions to have room for from the start; 0: some. More are made when needed.
    pub positions: usize,
    /// Memory to take at most on each device; what is free otherwise.
    pub memory: Option<Memory>,
    /// Shares of the layers that devices take, from `device` on; none: as few devices as the model needs.
    pub split: Option<Split>,
    /// Tokens of a batch at most; fewer than 2: no batches.
    pub batch: usize,
}

/// The variable that limits memory where no option does.
pub const MEMORY_VARIABLE: &str = "PARITTY_GPU_MEMORY";
/// The variable that splits layers where no option does.
pub const SPLIT_VARIABLE: &str = "PARITTY_GPU_SPLIT";

impl CudaOptions {
    /// Takes from the environment what was not said. The error names the variable.
    pub fn with_environment(mut self) -> Result<Self, String> {
        if self.memory.is_none() {
            self.memory = variable(MEMORY_VARIABLE)?;
        }
        if self.split.is_none() {
            self.split = variable(SPLIT_VARIABLE)?;
        }
        Ok(self)
    }
}

fn variable<T: FromStr<Err = String>>(name: &str) -> Result<Option<T>, String> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|e| format!("{name}: {e}"))).transpose()
}

/// Bytes, as people write them: `2GiB`, `512M`, `1.5 GB`, `1073741824`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub u64);

const UNITS: [(&str, u64); 4] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem =
            || format!("`{}` is no size: write 2GiB, 512M or bytes", crate::text::safe_short(text, 40));
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = upper[digits.len()..].trim_end_matches('B').trim_end_matches('I');
        let factor = match unit {
            "" => 1,
            _ => {
                UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(problem)?
            }
        };
        let number: f64 = digits.trim().parse().map_err(|_| problem())?;
        let bytes = number * factor as f64;
        // Far above any device, and exact in f64.
        if !(1.0..=(1_u64 << 50) as f64).contains(&bytes) {
            return Err(problem());
        }
        Ok(Self(bytes as u64))
    }
}

/// Shares of a model's layers, one a device: `1,1` gives two devices a half each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split(Vec<u32>);

impl Split {
    /// The shares.
    pub fn shares(&self) -> &[u32] {
        &self.0
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares: Option<Vec<u32>> = text.split(',').map(|share| share.trim().parse().ok()).collect();
        let some = |shares: &Vec<u32>| shares.iter().any(|&share| share > 0) && shares.len() <= 64;
        shares.filter(some).map(Self).ok_or_else(|| {
            let text = crate::text::safe_short(text, 40);
            format!("`{text}` splits nothing: write a whole number for each device, such as 1,1 or 3,1")
        })
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&shares.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_others_refused() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("2g", 2 << 30),
            ("512M", 512 << 20),
            ("1.5 GB", 3 << 29),
            ("64KiB", 64 << 10),
            ("1024", 1024),
            ("17b", 17),
        ] {
            assert_eq!(text.parse(), Ok(Memory(bytes)), "{text}");
        }
        for text in ["", "GiB", "0", "-1G", "nan", "inf", "1e300", "2X", "2 G G", "9999999T", "ü"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[test]
    fn splits_are_read_and_others_refused() {
        assert_eq!("1,1".parse::<Split>().unwrap().shares(), [1, 1]);
        assert_eq!("3, 0,2".parse::<Split>().unwrap().to_string(), "3,0,2");
        for text in ["", ",", "0", "0,0", "a", "1,-1", "1.5,1", "99999999999"] {
            assert!(text.parse::<Split>().is_err(), "{text}");
        }
    }
}
