//! Architectures: one file each.
