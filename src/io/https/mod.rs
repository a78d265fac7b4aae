//! HTTPS at the door: certificates and how each client is answered with one.

pub mod certificate;
pub mod certificates;
