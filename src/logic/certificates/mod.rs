//! The certificates that the mesh wants: for which names, when each is ordered, and which are not needed any more.

pub mod claim;
pub mod names;
pub mod overview;
pub mod plan;
pub mod precedence;
pub mod renewal;
