//! The whole thing: real nodes as processes, real encoders and real players, all on this machine.
//!
//! One binary for all promises, so that what the tests stand on is compiled once and none of it is left unused.

#![allow(
    clippy::unwrap_used,
    reason = "what a test prepares must work, or the test ends here"
)]

mod addresses;
mod audience;
mod bad_input;
mod beside_icecast;
mod browser;
mod capacity;
mod certificates;
mod chaos;
mod children;
mod clients;
mod clocks;
mod connections;
mod costs;
mod crowd_of_thousands;
mod dead_encoders;
mod descriptors;
mod dns;
mod document;
mod extra_headers;
mod failover;
mod failover_drain;
mod failover_sources;
mod fallback_files;
mod files;
mod first_audio;
mod first_byte;
mod flapping;
mod floods;
mod forgetting;
mod founding;
mod geo;
mod half_open;
mod hidden_mounts;
mod https_crowds;
mod https_door;
mod https_encoders;
mod https_files;
mod https_floods;
mod https_listeners;
mod https_redirects;
mod icecast_admin;
mod icecast_engine;
mod icecast_pages;
mod intro;
mod kept_connections;
mod ladder;
mod late;
mod late_formats;
mod listener_auth;
mod listener_limits;
mod logs;
mod loss;
mod membership;
mod mesh;
mod moving_in;
mod operator;
mod outside;
mod outside_relays;
mod partition;
mod plain_http;
mod players;
mod playlists;
mod priorities;
mod proxy;
mod redirect;
mod relay;
mod rolling;
mod routes;
mod sent_ahead;
mod service_manager;
mod shoutcast;
mod shoutcast_titles;
mod silence;
mod soak;
mod sources;
mod splices;
mod status;
mod steering;
mod support;
mod titles;
mod titles_in_band;
mod transcoded_mounts;
mod transcoders;
mod unfollowed;
