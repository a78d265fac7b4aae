//! The names and quantities of the project as types: each value has been checked once, when it was made.

pub mod caption;
pub mod charset;
pub mod dns;
pub mod domain;
pub mod finding;
pub mod format;
pub mod geo;
pub mod http_header;
pub mod listener;
pub mod load;
pub mod mount;
pub mod network;
pub mod node;
pub mod outside;
pub mod quorum;
pub mod reach;
pub mod record;
pub mod seat;
pub mod source;
pub mod source_user;
pub mod stamp;
pub mod status;
pub mod stream;
pub mod suggest;
pub mod title;
pub mod traits;
