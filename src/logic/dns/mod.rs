//! The mesh's own zone: which names there are, whose addresses they have, and how many answers a network gets.

pub mod throttle;
pub mod zone;
