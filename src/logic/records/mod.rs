//! The kinds of records in the document: mounts, outside servers, and settings of nodes and of the mesh.

pub mod fields;
pub mod mounts;
pub mod outside;
pub mod steering;
