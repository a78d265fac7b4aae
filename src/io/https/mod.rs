//! HTTPS at the door: certificates, and the handshake in which each client is answered with one.

pub mod certificate;
pub mod certificates;
pub mod files;
pub mod handshake;
pub mod tickets;
