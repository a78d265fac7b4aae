//! A source and its mount: whether it may have the place, which of two sources stays, and why one was closed.

pub mod closed;
pub mod place;
pub mod rivals;
