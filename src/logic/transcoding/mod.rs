//! Transcoded mounts: what can be made of which codec, which of them cannot run and why, which node runs each and how, and
//! families of them.

pub mod assign;
pub mod codecs;
pub mod command;
pub mod family;
pub mod lineage;
pub mod order;
pub mod variants;
pub mod watch;
