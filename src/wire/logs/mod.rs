//! The lines of `access.log` and `playlist.log`, in Icecast's format and as JSON.
//!
//! One entry is one line, whatever clients have sent: what could end a line or a field is escaped in both formats.

mod access;
pub mod client;
mod date;
mod json;
mod playlist;
mod request;

pub use self::access::access_line;
pub use self::playlist::playlist_line;
pub use self::request::{noted_request, shoutcast_request};
