//! The formats of streams: which one a stream has, and where it may be joined.

pub mod detect;
pub mod mpeg;
pub mod scanner;
