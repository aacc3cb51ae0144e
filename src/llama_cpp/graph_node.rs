//! A node of llama.cpp's graph, as those see it who name it.

/// What the resolver looks at: a node and where its data comes from. Data is never read.
pub trait GraphNode: Sized {
    /// llama.cpp's name.
    fn name(&self) -> &str;
    /// ggml's name of the operation: `MUL_MAT`, `ROPE`, `SWIGLU` …
    fn op(&self) -> &str;
    /// The source with index `index`.
    fn source(&self, index: usize) -> Option<Self>;
}
