//! A node that holds a stream of another: which node it asks, for how long it leaves one out, which stream it
//! continues with.

mod failures;
pub mod follow;
pub mod route;
