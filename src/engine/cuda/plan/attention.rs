//! Rotations with the writes to the cache, and attention as a whole.

use super::{Draft, Planner};
use crate::engine::cuda::arguments::Row;
use crate::engine::cuda::error::CudaError;
use crate::engine::cuda::operations::{AttendOperands, turn, unexpected};
use crate::engine::cuda::scratch::AttendShape;
use crate::model::graph::{Attention, Rope};
use crate::model::{Node, NodeId, Op};

impl Planner<'_> {
    /// The query's rotation, with the key's, the scale behind it, and the writes to the cache.
    pub(super) fn rope(&self, query: usize, rope: &Rope, draft: &mut Draft) -> Result<(), CudaError> {
        let nodes = &self.graph.nodes;
        let table = self.operations.scratch.table_of(query).ok_or_else(unexpected)?;
        let alike = |other: &Node| match &other.op {
            Op::Rope(r) => Rope { heads: rope.heads, ..r.clone() } == *rope,
            _ => false,
        };
        let key = (query + 1..nodes.len().min(query + 4)).find(|&other| {
            !draft.done[other]
                && alike(&nodes[other])
                && draft.done[nodes[other].inputs[0].index()]
                && self.operations.scratch.table_of(other) == Some(table)
        });
        let value = draft.unstored.first().copied();
        let scaled = self.readers(query).find(|&reader| matches!(nodes[reader].op, Op::Scale { .. }));
        let together =
            [Some(query), key, value].into_iter().flatten().all(|node| !self.pauses.contains(&node));
        let (Some(key), Some(value), true, 1) = (key, value, together, draft.unstored.len()) else {
            let turn = turn(rope, self.input(query, 0)?, self.address(query)?);
            draft.add([self.operations.rope(rope, table, turn)?], &[query]);
            self.keep(query, draft);
            return Ok(());
        };
        let Some(key_row) = self.row(key)? else { return Err(unexpected()) };
        let Some(value_row) = self.row(value)? else { return Err(unexpected()) };
        let Op::Rope(key_rope) = &nodes[key].op else { return Err(unexpected()) };
        let mut turns = [
            turn(rope, self.input(query, 0)?, self.address(query)?),
            turn(key_rope, self.input(key, 0)?, self.address(key)?),
        ];
        let mut complete = vec![query, key];
        if let Some(scaled) = scaled
            && let Op::Scale { factor } = nodes[scaled].op
        {
            (turns[0].scaled, turns[0].factor) = (self.address(scaled)?, factor);
            complete.push(scaled);
        }
        let format = self.history.format;
        let launch = self.operations.rope_and_store(rope, table, turns, [key_row, value_row], format)?;
        draft.unstored.clear();
        draft.add([launch], &complete);
        Ok(())
    }

    pub(super) fn attention(&self, scores: usize, a: &Attention, draft: &mut Draft) -> Result<(), CudaError> {
        let nodes = &self.graph.nodes;
        let rows = draft.unstored.drain(..).map(|node| self.row(node)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        for pair in rows.chunks(2) {
            let launch = self.operations.store(pair, self.history.format)?;
            draft.add([launch], &[]);
        }
        let follows = |index: usize, input: usize| {
            let node = nodes.get(index)?;
            (node.inputs.first() == Some(&NodeId(input as u32)) && node.op.attention() == Some(a))
                .then_some(node)
        };
        let (soft_max, mix) = (scores + 1, scores + 2);
        let shape = AttendShape::of(a, self.operations.multiprocessors);
        let whole = follows(soft_max, scores).is_some()
            && follows(mix, soft_max).is_some()
            && ![scores, soft_max].iter().any(|node| self.pauses.contains(node));
        let (Some(shape), true) = (shape, whole) else { return self.alone(scores, draft) };
        let kept = |input: NodeId| self.history.of(input.index()).map(|(address, _)| address);
        let (Some(keys), Some(values)) = (kept(nodes[scores].inputs[1]), kept(nodes[mix].inputs[1])) else {
            return Err(unexpected());
        };
        let shown = |node: usize| self.layout.captured[node];
        let probabilities = shown(soft_max).then(|| self.place(soft_max).growing()).transpose()?;
        let wanted = shown(scores) || shown(soft_max);
        let operands = AttendOperands {
            shape,
            query: self.input(scores, 0)?,
            keys,
            values,
            format: self.history.format,
            scores: wanted.then(|| self.place(scores).growing()).transpose()?,
            probabilities,
            out: self.address(mix)?,
        };
        draft.add(self.operations.attend(a, &operands)?, &[scores, soft_max, mix]);
        Ok(())
    }

    /// A kept node's row for the cache.
    fn row(&self, index: usize) -> Result<Option<Row>, CudaError> {
        let Some((cache, rows)) = self.history.of(index) else { return Ok(None) };
        let values = self.address(index)?;
        Ok(Some(Row { values, cache, width: rows.width as i32, shift: rows.shift }))
    }
}
