//! Bytes to values and back: pure, and never trusting the bytes.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod audience;
pub mod dns;
pub mod frame;
pub mod gossip;
pub mod http;
pub mod icecast;
pub mod livez;
pub mod logs;
pub mod outside;
pub mod pem;
pub mod web_address;
pub mod xml;
