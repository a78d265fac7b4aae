//! Bytes to values and back: pure, and never trusting the bytes.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod body;
pub mod frame;
pub mod gossip;
pub mod head;
pub mod playlist;
pub mod reply;
