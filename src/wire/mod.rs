//! Bytes to values and back: pure, and never trusting the bytes.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod body;
pub mod chunk;
#[cfg(test)]
mod clients;
pub mod credentials;
pub mod date;
pub mod dns;
pub mod forwarded;
pub mod frame;
pub mod gossip;
pub mod head;
pub mod head_error;
mod head_lines;
pub mod head_reader;
mod head_rewrite;
mod head_writer;
pub mod header_lines;
pub mod listener_head;
pub mod livez;
pub mod media_type;
pub mod passthrough;
pub mod playlist;
pub mod reply;
pub mod source_head;
pub mod status;
pub mod web_address;
