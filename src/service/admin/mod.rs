//! The pages and the API of a node.

pub mod page;
