//! The kinds of records in the document: mounts, outside servers, settings of nodes and of the mesh, certificates, and the
//! administrator's password and that of relays.
//!
//! Each kind is a table of its fields ([`kind::Kind`]). The document, the API, the command line and the tables of the
//! pages read these tables, so that a setting is said once.

pub mod accounts;
pub mod admin;
pub mod certificates;
pub mod field;
pub mod files;
pub mod https;
pub mod import;
pub mod kind;
pub mod mistake;
pub mod mounts;
pub mod outside;
pub mod relay_login;
pub mod steering;
mod texts;
