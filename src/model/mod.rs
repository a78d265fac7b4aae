//! The words of the project as types: what they hold has been checked once, at their making.

pub mod load;
pub mod mount;
pub mod node;
pub mod record;
pub mod seat;
pub mod stamp;
pub mod status;
pub mod stream;
pub mod suggest;
