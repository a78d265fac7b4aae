//! The laws that hold for whatever bytes come from outside. Each fuzz target calls one of them.
//!
//! None of them may panic or hold much memory, and how the network has cut the bytes never changes what they mean.

pub mod cuts;
pub mod filter;
pub mod frames;
pub mod http;
pub mod looped;
pub mod loudness;
pub mod memory;
pub mod scan;
pub mod titles;
