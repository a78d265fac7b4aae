//! A file plays when nothing better flows: the same second of it on every node, whole frames only, and again and again.

mod bad;
mod fitting;
mod formats;
mod junk;
mod kept;
mod paths;
mod played;
mod stage;
