//! Icecast's additions to HTTP: the heads of its sources and listeners, playlists, and addresses with a redirector's
//! tag.

pub mod listener_head;
pub mod passthrough;
pub mod playlist;
pub mod source_head;
