//! Imports: what the list of streams of another server means for the mounts here.
//!
//! A list is read into the streams that it names ([`listing`]); what it changes is decided against the mounts that are there
//! ([`plan`]). A mount belongs to a list if it says so itself, so what an operator has made is never touched.

pub mod listing;
pub mod plan;
