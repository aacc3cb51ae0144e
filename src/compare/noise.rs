//! noise (to be written)
