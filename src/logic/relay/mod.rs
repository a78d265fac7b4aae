//! A node that holds a stream of another: whom it asks, for how long it leaves one out, which stream it goes on with.

mod failures;
pub mod follow;
pub mod route;
