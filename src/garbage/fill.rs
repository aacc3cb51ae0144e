//! Bytes with which allocators and debuggers fill memory.

use super::{Blame, Class, Finding, Sample};

pub(super) struct FillPattern;

/// What memory is filled with, and by whom. Patterns of one repeated byte come from `memset`.
const PATTERNS: &[(u32, &str)] = &[
    (0xcccc_cccc, "uninitialised stack memory (MSVC, clang)"),
    (0xcdcd_cdcd, "uninitialised heap memory (MSVC debug heap)"),
    (0xdddd_dddd, "freed heap memory (MSVC debug heap)"),
    (0xfdfd_fdfd, "guard bytes of a heap block (MSVC debug heap)"),
    (0xfeee_feee, "freed heap memory (HeapFree)"),
    (0xabab_abab, "guard bytes of a heap block (HeapAlloc)"),
    (0xbaad_f00d, "uninitialised heap memory (LocalAlloc)"),
    (0xdead_beef, "memory marked as dead"),
    (0xdead_dead, "memory marked as dead"),
    (0xbebe_bebe, "uninitialised heap memory (AddressSanitizer)"),
    (0xa5a5_a5a5, "uninitialised or freed memory (jemalloc, BSD)"),
    (0x5a5a_5a5a, "freed memory (jemalloc)"),
    (0xaaaa_aaaa, "undefined memory (Zig, macOS MallocPreScribble)"),
    (0x5555_5555, "freed memory (macOS MallocScribble)"),
    (0xd0d0_d0d0, "uninitialised memory (mimalloc)"),
    (0xdfdf_dfdf, "freed memory (mimalloc)"),
    (0xdede_dede, "padding of a block (mimalloc)"),
    (0x7f7f_7f7f, "memory filled with a large float"),
    (0xffff_ffff, "memory filled with ones"),
];

pub(super) const ID: &str = "fill-pattern";

impl Class for FillPattern {
    fn id(&self) -> &'static str {
        ID
    }

    fn glyph(&self) -> char {
        'F'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "Several values have the bits with which allocators, compilers and sanitizers mark memory that \
         nobody has written yet or that was freed (0xCDCDCDCD, 0xDEADBEEF …). The buffer was recorded before \
         it was computed or after it was given back. Record at the moment of computation, from memory that \
         the recorder owns."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        let exact = sample.tensor.exact;
        // Of decimals the bits do not come back, so there is nothing to pass by quickly.
        if exact && sample.profile.pattern < 2 {
            return None;
        }
        let values = sample.values();
        let is = |x: f32, pattern: u32| x.to_bits() == pattern || (!exact && prints_as(x, pattern));
        let mut count = 0;
        let mut first = None;
        let (mut run, mut longest) = (0, (0, 0));
        for (i, &x) in values.iter().enumerate() {
            let byte = x.to_bits() as u8;
            let filled = byte != 0 && x.to_bits() == u32::from_ne_bytes([byte; 4]);
            run = if filled && i > 0 && values[i - 1].to_bits() == x.to_bits() {
                run + 1
            } else {
                u32::from(filled)
            };
            if run > longest.0 {
                longest = (run, i + 1 - run as usize);
            }
            let suspect = filled || !exact || alike(x.to_bits());
            if suspect && let Some(pattern) = PATTERNS.iter().find(|p| is(x, p.0)) {
                count += 1;
                first.get_or_insert((i, *pattern));
            }
        }
        // One or two decimals are met by chance in a long row.
        let fewest = if exact { 2 } else { 3 };
        let (at, count, evidence) = if let Some((at, (bits, meaning))) = first.filter(|_| count >= fewest) {
            (at, count, format!("{count} of {} values have the bits 0x{bits:08X}: {meaning}", values.len()))
        } else if longest.0 >= 4 {
            let bits = values[longest.1].to_bits();
            let n = longest.0;
            (longest.1, n, format!("{n} values in a row are filled with one byte, 0x{bits:08X}"))
        } else {
            return None;
        };
        let mut finding = sample.whole(self, 0.97, evidence);
        (finding.first_channel, finding.count) = (at as u32, count);
        Some(finding)
    }
}

/// Both halves alike, or one of the two words that have a meaning.
fn alike(bits: u32) -> bool {
    bits == bits.rotate_left(16) || matches!(bits, 0xdead_beef | 0xbaad_f00d)
}

/// Whether six decimals of a pattern read back as `x`. Patterns that vanish there show nothing.
fn prints_as(x: f32, pattern: u32) -> bool {
    let value = f32::from_bits(pattern);
    value.abs() > 1e-3 && value.abs() < 1.0 && (x - value).abs() <= 5.1e-7
}

#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};

    #[test]
    fn patterns_are_found_in_bits_and_in_text() {
        for bits in [0xcdcd_cdcd_u32, 0xdead_beef, 0xbaad_f00d] {
            let mut row: Vec<f32> = (0..50).map(|i| i as f32).collect();
            row[20..24].fill(f32::from_bits(bits));
            assert!(classes("l_out-0", &tensor(row.clone())).contains(&"fill-pattern"));
            row[21..24].fill(0.5);
            assert!(!classes("l_out-0", &tensor(row)).contains(&"fill-pattern"), "one is chance");
        }
        let printed: f32 = format!("{:.6}", f32::from_bits(0xcccc_cccc)).parse().unwrap();
        let mut row = tensor(vec![printed, printed, printed, 1.0]);
        row.exact = false;
        assert!(classes("l_out-0", &row).contains(&"fill-pattern"));
        row.values.remove(0);
        assert!(!classes("l_out-0", &row).contains(&"fill-pattern"), "two decimals are chance");
    }
}
