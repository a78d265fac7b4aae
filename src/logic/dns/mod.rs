//! The mesh's own zone: its names, their addresses, and how many answers a network gets.

pub mod throttle;
pub mod zone;
