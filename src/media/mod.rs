//! Stream bytes: their format, where they may be joined, and the window of them that a node keeps.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod format;
pub mod icy;
pub mod intro;
pub mod looped;
pub mod loudness;
pub mod overlap;
pub mod ring;
pub mod splice;
