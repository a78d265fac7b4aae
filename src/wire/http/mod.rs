//! HTTP as sources, listeners and browsers speak it: heads, bodies, and answers.

pub mod body;
pub mod chunk;
pub mod credentials;
pub mod date;
pub mod error;
pub mod file_head;
pub mod file_type;
pub mod forwarded;
pub mod head;
pub mod header_lines;
mod lines;
pub mod media_type;
pub mod range;
pub mod reader;
pub mod reply;
pub mod response;
mod rewrite;
pub mod status;
pub(in crate::wire) mod text;
pub mod upgrade;
pub(in crate::wire) mod writer;
