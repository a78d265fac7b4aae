//! The formats of streams: which one a stream has, where it may be joined, and what a late listener needs first.

pub mod detect;
pub mod joining;
pub mod mpeg;
pub mod ogg;
pub mod opaque;
pub mod scanner;
