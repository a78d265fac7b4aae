//! Transcoded mounts: what can be made of which codec, which of them cannot run and why, which node runs each, and families
//! of them.

pub mod assign;
pub mod codecs;
pub mod ladder;
pub mod lineage;
pub mod order;
