//! A file plays when nothing better flows: the same second of it on every node, whole frames only, and again and again.

mod paths;
mod played;
mod stage;
