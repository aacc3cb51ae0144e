//! Which device computes which layers.

use std::ops::Range;

use crate::model::{Checkpoint, Graph, Site};

/// Parts of a graph by the device that computes them.
pub type Shares = Vec<(usize, Range<usize>)>;

/// Where the graph may be cut: the first nodes of its layers but the first, and what comes behind the last.
fn cuts(graph: &Graph) -> Vec<usize> {
    let first = |layer| graph.find(Checkpoint::layer(Site::LOut, layer)).map(|id| id.index() + 1);
    (0..graph.n_layer.saturating_sub(1)).filter_map(first).collect()
}

/// The graph in parts by the shares of its layers that devices take: device number (from 0) and nodes. A device
/// without layers has no part.
pub fn by_shares(graph: &Graph, shares: &[u32]) -> Shares {
    let cuts = cuts(graph);
    let all: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    let (mut parts, mut begun, mut start) = (Vec::new(), 0, 0);
    for (device, &share) in shares.iter().enumerate() {
        begun += u64::from(share);
        // Rounded to whole layers; the last device has the rest.
        let layers = ((cuts.len() + 1) as u64 * begun + all / 2) / all.max(1);
        let rest = graph.nodes.len();
        let end = if begun == all {
            rest
        } else {
            cuts.get((layers as usize).wrapping_sub(1)).copied().unwrap_or(start)
        };
        if share > 0 && end > start {
            parts.push((device, start..end));
            start = end;
        }
    }
    parts
}

/// The graph over the first of the devices, each taking layers while `fits(device, nodes)`; `None` where they are
/// too few.
pub fn by_room<E>(
    graph: &Graph,
    devices: usize,
    mut fits: impl FnMut(usize, &Range<usize>) -> Result<bool, E>,
) -> Result<Option<Shares>, E> {
    let ends: Vec<usize> = cuts(graph).into_iter().chain([graph.nodes.len()]).collect();
    let (mut parts, mut start) = (Vec::new(), 0);
    for device in 0..devices {
        // The most layers that fit: more layers never need less.
        let mut taken = None;
        for &end in ends.iter().rev().filter(|&&end| end > start) {
            if fits(device, &(start..end))? {
                taken = Some(end);
                break;
            }
        }
        let Some(end) = taken else { continue };
        parts.push((device, start..end));
        if end == graph.nodes.len() {
            return Ok(Some(parts));
        }
        start = end;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::path::Path;

    use super::*;
    use crate::gguf::Gguf;
    use crate::model::arch;

    fn graph() -> Graph {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/shakespeare-f16.gguf");
        arch::graph(&Gguf::open(&path).unwrap()).unwrap()
    }

    fn layers(graph: &Graph, nodes: &Range<usize>) -> Vec<usize> {
        let mut layers: Vec<usize> =
            graph.nodes[nodes.clone()].iter().filter_map(|n| n.checkpoint?.layer_index()).collect();
        layers.dedup();
        layers
    }

    /// Parts follow each other from the first node to the last, and no layer is cut.
    fn assert_whole(graph: &Graph, parts: &[(usize, Range<usize>)]) {
        let mut all = Vec::new();
        let mut next = 0;
        for (_, nodes) in parts {
            assert_eq!(nodes.start, next);
            next = nodes.end;
            all.extend(layers(graph, nodes));
        }
        assert_eq!(next, graph.nodes.len());
        assert_eq!(all, (0..graph.n_layer).collect::<Vec<_>>(), "a layer on two devices");
    }

    #[test]
    fn shares_are_of_layers_and_leave_none_out() {
        let graph = graph();
        for shares in
            [&[1][..], &[1, 1], &[3, 1], &[1, 0, 1], &[0, 1], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1], &[1, 1000]]
        {
            let parts = by_shares(&graph, shares);
            assert_whole(&graph, &parts);
            assert!(parts.iter().all(|&(device, _)| shares[device] > 0), "{shares:?}: {parts:?}");
        }
        let halves = by_shares(&graph, &[1, 1]);
        assert_eq!(layers(&graph, &halves[0].1).len(), graph.n_layer / 2);
    }

    #[test]
    fn devices_are_filled_in_order() {
        let graph = graph();
        let room =
            |most: usize| move |_: usize, nodes: &Range<usize>| Ok::<_, Infallible>(nodes.len() <= most);
        let Ok(one) = by_room(&graph, 4, room(graph.nodes.len()));
        assert_eq!(one, Some(vec![(0, 0..graph.nodes.len())]));
        let Ok(two) = by_room(&graph, 4, room(graph.nodes.len() * 2 / 3));
        let two = two.unwrap();
        assert_eq!(two.len(), 2);
        assert_whole(&graph, &two);
        let Ok(none) = by_room(&graph, 2, room(graph.nodes.len() / 4));
        assert_eq!(none, None);
        // A device without room for a layer is passed over.
        let Ok(second) = by_room(&graph, 2, |device, _| Ok::<_, Infallible>(device == 1));
        assert_eq!(second, Some(vec![(1, 0..graph.nodes.len())]));
    }
}
