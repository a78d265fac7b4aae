//! Tasks that own state: each joins a decision to the world and is reached by a handle.

pub mod admin;
pub mod audience;
pub mod authority;
pub mod cluster;
pub mod document;
pub mod drain;
pub mod founding;
pub mod front;
pub mod geo;
pub mod identity;
pub mod ingest;
pub mod jobs;
pub mod listen;
pub mod load;
pub mod logins;
pub mod mesh;
pub mod outside;
pub mod publisher;
pub mod reach;
pub mod relay;
pub mod resolve;
pub mod sources;
pub mod status;
pub mod streams;
pub mod switchboard;
pub mod titles;
