//! Which certificates the mesh wants, when each is ordered, and which are not needed any more.

pub mod names;
pub mod overview;
pub mod plan;
pub mod renewal;
