//! Tasks that own state: each joins a decision to the world and is reached by a handle.

pub mod admin;
pub mod cluster;
pub mod document;
pub mod ingest;
pub mod listen;
pub mod load;
pub mod relay;
pub mod status;
