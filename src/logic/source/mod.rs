//! A source and its mount: whether it may have the place, and which of two sources stays.

pub mod place;
pub mod rivals;
