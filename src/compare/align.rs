//! align (to be written)
