//! Joining neighbours, best pair first: what both kinds of vocabulary do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// A stretch of text and its neighbours. A stretch that was joined to its left neighbour is empty.
struct Symbol {
    range: Range<usize>,
    prev: Option<usize>,
    next: Option<usize>,
}

/// A pair that could be joined. It is out of date once either side has changed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pair<R> {
    rank: R,
    left: usize,
    right: usize,
    len: usize,
}

/// Joins neighbours in `text`, which starts as its characters, as long as `rank` gives a pair (the end
/// of the left part and the range of both) a rank: the smallest first, the leftmost among equals.
/// Takes n log n steps. Returns the stretches that are left, in order.
pub(super) fn merge<R: Ord>(
    text: &str,
    rank: impl Fn(usize, Range<usize>) -> Option<R>,
) -> Vec<Range<usize>> {
    let mut symbols: Vec<Symbol> = text
        .char_indices()
        .enumerate()
        .map(|(i, (at, c))| Symbol {
            range: at..at + c.len_utf8(),
            prev: i.checked_sub(1),
            next: Some(i + 1),
        })
        .collect();
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }
    let mut queue = BinaryHeap::new();
    let propose = |queue: &mut BinaryHeap<_>, symbols: &[Symbol], left: usize, right: usize| {
        let (l, r) = (&symbols[left].range, &symbols[right].range);
        if let Some(rank) = rank(l.end, l.start..r.end) {
            queue.push(Reverse(Pair { rank, left, right, len: r.end - l.start }));
        }
    };
    for right in 1..symbols.len() {
        propose(&mut queue, &symbols, right - 1, right);
    }
    while let Some(Reverse(pair)) = queue.pop() {
        let Pair { left, right, len, .. } = pair;
        let (l, r) = (symbols[left].range.clone(), symbols[right].range.clone());
        if l.is_empty() || r.is_empty() || l.len() + r.len() != len {
            continue;
        }
        symbols[left].range.end = r.end;
        symbols[right].range.start = r.end;
        let next = symbols[right].next;
        symbols[left].next = next;
        if let Some(next) = next {
            symbols[next].prev = Some(left);
        }
        if let Some(prev) = symbols[left].prev {
            propose(&mut queue, &symbols, prev, left);
        }
        if let Some(next) = next {
            propose(&mut queue, &symbols, left, next);
        }
    }
    symbols.into_iter().map(|s| s.range).filter(|range| !range.is_empty()).collect()
}
