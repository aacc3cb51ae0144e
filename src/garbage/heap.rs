//! Freed memory: an allocator's list links where values were.

use super::rows::{HEAP, LEAD, Links, Rows};
use super::{Across, Blame, Class, Finding, Sample};
use crate::model::Site;

pub(super) struct HeapPointer;

pub(super) const ID: &str = HEAP;

/// Upper halves of user-space addresses on 64-bit systems: 0x0000_0001_… to 0x0000_7fff_… on x86,
/// to 0x0000_ffff_… on ARM. Read as a float, a denormal.
const UPPER: std::ops::RangeInclusive<u32> = 0x0001..=0xffff;

/// Upper halves of position-independent programs, their heaps, mapped memory and stacks on Linux
/// (x86 from 0x55.., ARM from 0xaa..).
const USUAL: std::ops::RangeInclusive<u32> = 0x5500..=0xffff;

impl Class for HeapPointer {
    fn id(&self) -> &'static str {
        ID
    }

    fn glyph(&self) -> char {
        'P'
    }

    fn blame(&self) -> Blame {
        Blame::Instrument
    }

    fn explain(&self) -> &'static str {
        "The first values are not numbers but addresses. When a block is freed, the allocator writes the \
         links of its free list over the first 16 bytes: channels 0 and 2 become the low halves of pointers \
         (any float at all, often around ±1e18), channels 1 and 3 their high halves, which are denormals and \
         print as 0.000000; in newer versions of glibc channels 2 and 3 are a random key instead, the same in \
         every block. Large blocks have links in channels 0 to 7; channels 8 and 9 of a block of ten values \
         become a size. Rows that look honest one by one give themselves away together: their low halves are \
         alike, the key repeats, the zeros come and go. The engine is right; the logger printed a buffer after it \
         was freed, typically from an atexit handler that runs after the destructors. Write records when they \
         are taken, or keep the buffers until they are written."
    }

    fn check(&self, sample: &Sample<'_>) -> Option<Finding> {
        // Probabilities underflow honestly, to denormals and to zero.
        if sample.checkpoint.site() == Site::KqSoftMax {
            return None;
        }
        if sample.tensor.exact {
            by_bits(self, sample).or_else(|| by_shape(self, sample))
        } else {
            by_shape(self, sample)
        }
    }

    fn across(&self, rows: &Rows) -> Option<Across> {
        together(rows)
    }
}

/// With every bit at hand: pairs whose upper word is that of an address.
fn by_bits(class: &HeapPointer, sample: &Sample<'_>) -> Option<Finding> {
    if sample.profile.denormal == 0 {
        return None;
    }
    [0, 1].into_iter().find_map(|first| by_bits_from(class, sample, first))
}

/// As `by_bits`, with pairs that begin at channel `offset`: a row may begin in the middle of a word, behind
/// a length of four bytes.
fn by_bits_from(class: &HeapPointer, sample: &Sample<'_>, offset: usize) -> Option<Finding> {
    let pairs = sample.values().get(offset..)?.as_chunks::<2>().0;
    let upper = |pair: &[f32; 2]| pair[1].to_bits();
    // Two denormals are rather two integers, unless the upper one is where programs live.
    let is_address = |pair: &[f32; 2]| {
        UPPER.contains(&upper(pair)) && (!pair[0].is_subnormal() || USUAL.contains(&upper(pair)))
    };
    let addresses: Vec<usize> =
        pairs.iter().enumerate().filter(|(_, p)| is_address(p)).map(|(i, _)| i).collect();
    let first = *addresses.first()?;
    let region = upper(&pairs[first]);
    let alike = addresses.iter().filter(|&&i| upper(&pairs[i]).abs_diff(region) <= 16).count();
    // Integers read as floats have denormals everywhere, a freed block at its links only; memory that
    // somebody else uses by now has several addresses of one region among anything.
    let elsewhere = (sample.profile.denormal as usize).saturating_sub(addresses.len());
    let at_start = first + offset <= 1 && elsewhere <= 4 && (offset == 0 || USUAL.contains(&region));
    let crowd = alike >= 2 && USUAL.contains(&region) && (elsewhere <= 4 || alike * 4 >= elsewhere);
    if !at_start && !crowd {
        return None;
    }
    let pair = &pairs[first];
    let address = u64::from(pair[1].to_bits()) << 32 | u64::from(pair[0].to_bits());
    let confidence = if at_start || alike > 2 { 0.97 } else { 0.9 };
    let mut finding = sample.whole(
        class,
        confidence,
        format!(
            "channels {} and {} together are the address 0x{address:012x}; {} such pair{} in the row",
            offset + 2 * first,
            offset + 2 * first + 1,
            addresses.len(),
            if addresses.len() == 1 { "" } else { "s" }
        ),
    );
    (finding.first_channel, finding.count) = ((offset + 2 * first) as u32, 2 * addresses.len() as u32);
    Some(finding)
}

/// A value this many times larger than the row's largest is no value of that row.
const IMPLAUSIBLE: f64 = 50.0;

/// By the shape alone: exact zeros where the upper halves would be and nowhere else, beside a value
/// that does not belong to the row. Small lower halves are left to [`together`]: one row in some
/// hundred has an honest value as near to zero.
fn by_shape(class: &HeapPointer, sample: &Sample<'_>) -> Option<Finding> {
    let values = sample.values();
    let links = Links::of(values, sample.tensor.exact)?;
    let linked = |i: usize| i < 4 || (links.large && i < 8) || (links.size && (8..10).contains(&i));
    let rest = || values.iter().enumerate().filter(|(i, x)| !linked(*i) && x.is_finite()).map(|(_, &x)| x);
    // The tail may be padded; zeros anywhere else say that this row simply has zeros.
    let padded = values.iter().rev().take_while(|x| **x == 0.0).count();
    let inner = values.len() - padded;
    let zeros = values[LEAD.min(inner)..inner].iter().filter(|x| **x == 0.0).count();
    let most = rest().fold(0.0_f64, |m, x| m.max(f64::from(x.abs())));
    if rest().count() < 2 || most == 0.0 || zeros * 1000 > values.len() {
        return None;
    }
    let odd = |i: &usize| f64::from(values[*i].abs()) > most * IMPLAUSIBLE;
    // Channel 3 is the upper half of a key where it is no upper half of an address.
    let lows: Vec<usize> = [0, 2, 3].into_iter().filter(odd).collect();
    if lows.is_empty() {
        return None;
    }
    let shown: Vec<String> = lows.iter().map(|&i| format!("{:e}", values[i])).collect();
    let zero: Vec<&str> = if links.second { vec!["1", "3"] } else { vec!["1"] };
    let mut finding = sample.whole(
        class,
        if lows.len() > 1 { 0.97 } else { 0.93 },
        format!(
            "exact zeros in channel {} and nowhere else, beside {}, where the other values are {:.3} at most: \
             the halves of addresses that an allocator writes into a freed block",
            zero.join(" and "),
            shown.join(" and "),
            most
        ),
    );
    finding.count = if links.large {
        8
    } else if links.second || lows.iter().any(|&i| i > 1) {
        4
    } else {
        2
    };
    Some(finding)
}

/// Fewer rows than this prove nothing together.
const FEWEST: u32 = 3;

/// Many rows at once, each of which may look honest.
///
/// What could explain the zeros honestly is a token that is never predicted, whose logit is exactly zero
/// in *every* row. So something more is asked for: a row that shows it by itself, lower halves that
/// are alike or wild where logits vary, a key that repeats, zeros that come and go between rows or
/// that alternate with values, or lower halves that printed as −0.000000.
fn together(rows: &Rows) -> Option<Across> {
    if rows.linked < FEWEST || rows.sparse * 4 > rows.linked || (rows.named == 0 && rows.is_chance()) {
        return None;
    }
    let n = rows.linked;
    let masks = rows.masks.iter().filter(|&&count| count > 0).count();
    let second = rows.masks.iter().enumerate().filter(|(mask, _)| mask & 1 == 1).map(|(_, c)| c).sum::<u32>();
    let alternating = rows.kept.iter().filter(|(r, _)| r[0] != 0.0 && r[2] != 0.0 && r[3] == 0.0).count();
    let (confidence, reason) = if rows.named > 0 {
        (0.96, format!("{} of them show it by themselves", rows.named))
    } else if let Some(key) = repeated_key(rows) {
        (0.97, key)
    } else if let Some(lows) = unlike_the_rest(rows) {
        (0.95, lows)
    } else if second == n && alternating as u32 >= FEWEST {
        (
            0.93,
            "channels 0 and 2 beside them are not zero: nothing but halves of words alternates like that"
                .to_owned(),
        )
    } else if rows.clean > 0 || masks > 1 {
        let others = if rows.clean > 0 {
            format!("{} rows have none of these zeros", rows.clean)
        } else {
            format!("the zeros cover {masks} different sets of channels")
        };
        (0.92, format!("{others}, so no token explains them that is never predicted"))
    } else if rows.negative > 0 {
        (0.9, format!("channel 0 is −0.000000 in {} of them, a value too small to print", rows.negative))
    } else if n == rows.rows {
        // Nothing tells them apart; both are worth knowing.
        let reason = "in every row alike: either these tokens are never predicted, or the addresses are too small to \
                      print; record every bit (a sidecar) to tell";
        (0.4, reason.to_owned())
    } else {
        return None;
    };
    let widest = rows.masks.iter().rposition(|&count| count > 0).unwrap_or(0);
    let links = Links { second: widest & 1 == 1, large: widest & 2 == 2, size: widest & 4 == 4 };
    Some(Across {
        class: ID,
        rows: n,
        of: rows.rows,
        by_themselves: rows.named,
        marked: rows.marked,
        blamed_on_engine: rows.blamed_on_engine,
        excused: rows.excused.clone(),
        positions: rows.positions.clone(),
        confidence,
        blame: if confidence < 0.5 { Blame::Nobody } else { Blame::Instrument },
        channels: if links.large { 8 } else { 4 },
        evidence: format!(
            "{n} of {} rows have exact zeros where the upper halves of addresses are in a freed block (channels {}), and {reason}",
            rows.rows,
            links.channels()
        ),
    })
}

/// The pair in channels 2 and 3 that several rows have bit for bit: glibc marks the blocks of a
/// thread's cache with a key.
fn repeated_key(rows: &Rows) -> Option<String> {
    let pair = |r: &[f32; LEAD]| (r[2].to_bits(), r[3].to_bits());
    let mut best = (0, (0, 0));
    for (row, _) in &rows.kept {
        if row[2] == 0.0 && row[3] == 0.0 {
            continue;
        }
        let same = rows.kept.iter().filter(|(r, _)| pair(r) == pair(row)).count();
        best = best.max((same, pair(row)));
    }
    let others_vary = rows.kept.iter().any(|(r, _)| r[4..6] != rows.kept[0].0[4..6]);
    (best.0 >= 3 && best.0 * 2 >= rows.kept.len().min(12) && others_vary).then(|| {
        format!(
            "{} of them have the same bits in channels 2 and 3 ({:e}, {:e}), the key of an allocator's cache",
            best.0,
            f32::from_bits(best.1.0),
            f32::from_bits(best.1.1)
        )
    })
}

/// Whether channel 0 varies from row to row in another way than the channels behind the links:
/// addresses of one region share their upper bits, so that they differ by next to nothing or by
/// powers of ten.
fn unlike_the_rest(rows: &Rows) -> Option<String> {
    let lows: Vec<f64> =
        rows.kept.iter().map(|(r, _)| f64::from(r[0])).filter(|x| *x != 0.0 && x.is_finite()).collect();
    if lows.len() < 4 || lows.len() * 2 < rows.kept.len() {
        return None;
    }
    let mut usual: Vec<f64> = (4..LEAD)
        .filter(|&c| rows.kept.iter().all(|(r, n)| c < *n && r[c] != 0.0))
        .map(|c| spread(&rows.kept.iter().map(|(r, _)| f64::from(r[c])).collect::<Vec<_>>()))
        .collect();
    usual.sort_by(f64::total_cmp);
    let usual = *usual.get(usual.len() / 2)?;
    let own = spread(&lows);
    let negligible = own <= 0.02 * usual;
    let wild = own >= 1000.0 * usual;
    let exponent = |x: f64| (x as f32).to_bits() >> 23;
    let region = lows.iter().filter(|x| exponent(**x).abs_diff(exponent(lows[0])) <= 1).count();
    (usual > 0.0 && (negligible || (wild && region * 2 >= lows.len()))).then(|| {
        format!(
            "channel 0 beside them differs from row to row by {own:.1e}, the other channels by {usual:.1e}: the lower halves of addresses in one region"
        )
    })
}

/// How far a few numbers lie apart: all of them if they are few, the middle half of many.
fn spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let cut = if n < 8 { 0 } else { n / 4 };
    sorted[n - 1 - cut] - sorted[cut]
}
#[cfg(test)]
mod tests {
    use super::super::tests::{classes, tensor};
    use super::super::{Sample, inspect};
    use crate::testing::Noise;
    use crate::trace::Tensor;

    /// A row of logits over which a freed block's links were written.
    fn freed(noise: &mut Noise, n: usize, links: usize) -> Vec<f32> {
        let mut row = noise.row(n);
        for link in 0..links {
            // As on 64-bit Linux: 0x55.. to 0x7f.. above, anything below, aligned to 16.
            let address = (0x5500 + noise.bits() % 0x2aff) << 32 | (noise.bits() & 0xffff_fff0);
            row[2 * link] = f32::from_bits(address as u32);
            row[2 * link + 1] = f32::from_bits((address >> 32) as u32);
        }
        row
    }

    #[test]
    fn addresses_in_bits_are_found_whatever_their_low_half_is() {
        let mut noise = Noise::new(3);
        let mut found = 0;
        for i in 0..1000 {
            let row = tensor(freed(&mut noise, 10 + i % 90, 1 + i % 2));
            found += usize::from(classes("result_output", &row).contains(&"heap-pointer"));
        }
        // A low half that is itself a denormal hides the pair: below 1 in 200 of random addresses.
        assert!(found >= 985, "{found}");
    }

    #[test]
    fn rows_that_begin_behind_a_length_are_found_by_their_bits() {
        let mut noise = Noise::new(6);
        let mut found = 0;
        for _ in 0..200 {
            // The upper half of the first link, then the whole second one.
            let row = tensor(freed(&mut noise, 12, 2).split_off(1));
            found += usize::from(classes("result_output", &row).contains(&"heap-pointer"));
        }
        assert!(found >= 195, "{found}");
    }

    #[test]
    fn six_decimals_show_it_too() {
        let mut noise = Noise::new(4);
        let (mut found, rows) = (0, 500);
        for _ in 0..rows {
            let values: Vec<f32> =
                freed(&mut noise, 10, 2).iter().map(|x| format!("{x:.6}").parse().unwrap()).collect();
            let row = Tensor { shape: vec![151_936], values, exact: false };
            let at = "result_output".parse().unwrap();
            found += usize::from(inspect(&Sample::new(at, &row)).iter().any(|f| f.class == "heap-pointer"));
        }
        // A row hides when both low halves print as zero or look like logits: the exponent's range
        // makes both vanish in about a quarter of random addresses.
        assert!(found * 2 > rows, "{found} of {rows}");
    }

    #[test]
    fn tokens_that_are_never_predicted_are_not_freed_memory() {
        let mut noise = Noise::new(5);
        for front in [[0.0; 4], [-20.0; 4], [0.0, 0.0, -1.5, 0.3], [-0.7, 0.0, 0.2, 1.0]] {
            let mut row = noise.row(10);
            row[..4].copy_from_slice(&front);
            for exact in [true, false] {
                let t = Tensor { shape: vec![10], values: row.clone(), exact };
                assert!(classes("result_output", &t).is_empty(), "{front:?}");
            }
        }
    }
}
