//! A node's knowledge of the other members: which are alive, whose clock is wrong, which are forgotten, which one
//! founds.

pub mod clocks;
pub mod forgotten;
pub mod founding;
pub mod health;
