//! A node of llama.cpp's graph, seen during a callback.

use std::ffi::CStr;
use std::ops::ControlFlow;

use llama_cpp_sys_2 as sys;

use super::graph_node::GraphNode;
use super::rows::Extent;

/// A tensor of the running graph. Lives no longer than the callback that showed it.
#[derive(Clone, Copy)]
pub struct Node<'a>(&'a sys::ggml_tensor);

/// Receives the nodes of a running graph.
pub trait NodeSink {
    /// Whether the node's data is wanted. Asked before it is computed; its data must not be read.
    fn wants(&mut self, node: Node<'_>) -> bool;

    /// The node has just been computed. Its data is valid only now: the next node may overwrite it.
    /// `Break` ends the pass.
    fn computed(&mut self, node: Node<'_>) -> ControlFlow<()>;
}

impl<'a> Node<'a> {
    /// # Safety
    /// `tensor` is null or a tensor of a graph that stays alive and unchanged for `'a`.
    #[allow(unsafe_code)]
    pub(super) unsafe fn new(tensor: *const sys::ggml_tensor) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { tensor.as_ref() }.map(Self)
    }

    /// Whether the node is computed at all: llama.cpp also offers dead branches.
    pub fn is_live(self) -> bool {
        self.0.flags as u32 & sys::GGML_TENSOR_FLAG_COMPUTE != 0
    }

    /// Whether two views are of the same node.
    pub fn is(self, other: *const ()) -> bool {
        self.id() == other
    }

    /// The node's identity while its graph lives.
    pub fn id(self) -> *const () {
        std::ptr::from_ref(self.0).cast()
    }

    /// Axes and strides in elements. The error names what is not single precision.
    pub fn extent(self) -> Result<Extent, String> {
        if self.0.type_ != sys::GGML_TYPE_F32 {
            // SAFETY: ggml_type_name returns static strings for every type a tensor can have.
            #[allow(unsafe_code)]
            let name = unsafe { CStr::from_ptr(sys::ggml_type_name(self.0.type_)) };
            return Err(format!("its type should be f32 and is {}", name.to_string_lossy()));
        }
        let axes: [usize; 4] = self.0.ne.map(|n| n.max(0) as usize);
        let size = size_of::<f32>();
        if self.0.nb.iter().any(|b| b % size != 0) {
            return Err(format!(
                "its strides in bytes should be multiples of {size} and are {:?}",
                self.0.nb
            ));
        }
        Ok(Extent { ne: axes, stride: self.0.nb.map(|b| b / size) })
    }

    /// The node's storage from its first element to its last, gaps of a view included. Borrowed
    /// where the CPU can read it, else copied into `buffer`.
    ///
    /// Only to be called for a node that has just been computed and whose type is f32.
    pub fn storage(self, buffer: &'a mut Vec<f32>) -> Result<&'a [f32], String> {
        let owner = if self.0.view_src.is_null() {
            self.0.buffer
        } else {
            // SAFETY: a view's source belongs to the same graph and is alive.
            #[allow(unsafe_code)]
            unsafe {
                (*self.0.view_src).buffer
            }
        };
        if owner.is_null() || self.0.type_ != sys::GGML_TYPE_F32 {
            return Err("it should have data in single precision and has none".to_owned());
        }
        // SAFETY: the tensor is alive; the function only reads its shape.
        #[allow(unsafe_code)]
        let bytes = unsafe { sys::ggml_nbytes(self.0) };
        let len = bytes / size_of::<f32>();
        // SAFETY: `owner` is the live buffer of the tensor.
        #[allow(unsafe_code)]
        let on_host = unsafe { sys::ggml_backend_buffer_is_host(owner) };
        if on_host && !self.0.data.is_null() && self.0.data.cast::<f32>().is_aligned() {
            // SAFETY: host memory of at least ggml_nbytes bytes from `data`, aligned, initialised by
            // the computation that has just ended, and unchanged until the callback returns.
            #[allow(unsafe_code)]
            return Ok(unsafe { std::slice::from_raw_parts(self.0.data.cast::<f32>(), len) });
        }
        buffer.resize(len, 0.0);
        // SAFETY: `buffer` has room for `len` values, and ggml copies from the tensor's own buffer,
        // following `view_src`.
        #[allow(unsafe_code)]
        unsafe {
            sys::ggml_backend_tensor_get(self.0, buffer.as_mut_ptr().cast(), 0, len * size_of::<f32>());
        }
        Ok(buffer)
    }
}

impl GraphNode for Node<'_> {
    fn name(&self) -> &str {
        let bytes = bytemuck::cast_slice(&self.0.name);
        CStr::from_bytes_until_nul(bytes).ok().and_then(|name| name.to_str().ok()).unwrap_or_default()
    }

    fn op(&self) -> &str {
        // SAFETY: ggml_op_desc returns static strings.
        #[allow(unsafe_code)]
        let name = unsafe { CStr::from_ptr(sys::ggml_op_desc(self.0)) };
        name.to_str().unwrap_or_default()
    }

    fn source(&self, index: usize) -> Option<Self> {
        // SAFETY: sources are null or tensors of the same graph.
        #[allow(unsafe_code)]
        unsafe {
            Node::new(*self.0.src.get(index)?)
        }
    }
}
