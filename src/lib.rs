//! Antiphon: a self-organising mesh that makes a handful of machines one fault-tolerant Icecast cluster.
//!
//! The layers, from the words up; an arrow may skip levels downward and never points up:
//! `model`, `settings` → `logic`, `media`, `wire` (pure) → `proto` (pure) → `io` → `service` → `node` → `cli`.

pub mod cli;
pub mod io;
pub mod logic;
pub mod media;
pub mod model;
pub mod node;
pub mod proto;
pub mod service;
pub mod settings;
pub mod wire;
