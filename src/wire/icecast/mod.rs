//! Icecast's additions to HTTP: the heads of its sources and listeners, playlists, and addresses with a redirector's
//! tag; and the login of Shoutcast, which it understands too.

pub mod config_file;
pub mod listener_head;
pub mod local;
pub mod passthrough;
pub mod playlist;
pub mod playlist_reader;
pub mod server_config;
pub mod shoutcast;
pub mod source_head;
pub mod token;
pub mod upstream;
