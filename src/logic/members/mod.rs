//! What a node makes of the other members: how they are doing, whose clock is wrong, who is forgotten, who founds.

pub mod clocks;
pub mod forgotten;
pub mod founding;
pub mod health;
