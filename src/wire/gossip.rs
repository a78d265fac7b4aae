//! The values that a node gossips.
