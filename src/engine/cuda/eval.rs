//! One node alone.

use cudarc::driver::result;

use super::engine::CudaEngine;
use super::error::CudaError;
use super::history::Format;
use super::memory::Buffer;
use super::operations::{Operand, Operands};
use crate::engine::{EngineError, request};
use crate::model::Checkpoint;
use crate::trace::Tensor;

impl CudaEngine {
    /// Computes the node known by `checkpoint` alone, on the device that has its weights.
    pub(super) fn eval_alone(
        &mut self,
        checkpoint: Checkpoint,
        position: usize,
        token: u32,
        inputs: &[&[f32]],
    ) -> Result<Tensor, EngineError> {
        request::token(&self.graph, token)?;
        request::inputs(&self.graph, checkpoint, position, inputs)?;
        let index = request::node(&self.graph, checkpoint)?.index();
        self.set_steps(&[token], position);
        let node = &self.graph.nodes[index];
        let owner = self.stages.iter().find(|stage| stage.nodes.contains(&index));
        let stage = owner.ok_or_else(|| CudaError::Unsupported(format!("no device has {checkpoint}")))?;
        let device = &stage.device;
        device.bind()?;
        let buffers = inputs
            .iter()
            .map(|values| {
                let buffer = Buffer::new(device, values.len() * 4, "a node's input")?;
                // SAFETY: the buffer is live and as large as the values.
                #[allow(unsafe_code)]
                unsafe { result::memcpy_htod_sync(buffer.address(), values) }
                    .map_err(CudaError::driver("cannot send a node's input"))?;
                Ok(buffer)
            })
            .collect::<Result<Vec<_>, CudaError>>()?;
        let shape = request::output_shape(node, position);
        let mut values = vec![0.0_f32; shape.iter().product::<u32>() as usize];
        let out = Buffer::new(device, values.len() * 4, "a node's output")?;
        let operand = |grows: bool, address: u64| {
            if grows { Operand::Growing(address, 0) } else { Operand::Fixed(address) }
        };
        let history = node.op.history_input().map(|i| (buffers[i].address(), Format::F32));
        let at = Operands {
            inputs: node
                .inputs
                .iter()
                .zip(&buffers)
                .map(|(id, buffer)| operand(self.graph.node(*id).op.grows(), buffer.address()))
                .collect(),
            history,
            out: operand(node.op.grows(), out.address()),
        };
        let launches = stage.operations(0).of(index, node, &at)?;
        stage.send_steps(&self.steps, 1)?;
        launches.iter().try_for_each(|launch| launch.run(&device.stream, false))?;
        device.wait()?;
        // SAFETY: the buffer is live and as large as the values.
        #[allow(unsafe_code)]
        unsafe { result::memcpy_dtoh_sync(&mut values, out.address()) }
            .map_err(CudaError::driver("cannot bring a node's output home"))?;
        Ok(Tensor { shape, values, exact: true })
    }
}
