//! A source and its mount: whether it may have the place, and which of two sources goes on.

pub mod place;
pub mod rivals;
