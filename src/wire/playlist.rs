//! Playlists that name a stream.
