//! The support of the tests: nodes, meshes, sources, players, and patience.

mod admin;
pub(crate) mod clock;
pub(crate) mod crowd;
pub(crate) mod decoder;
pub(crate) mod dig;
pub(crate) mod encoder;
mod freezing;
pub(crate) mod http;
pub(crate) mod icecast;
pub(crate) mod mesh;
pub(crate) mod mmdb;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod ogg;
pub(crate) mod patience;
pub(crate) mod player;
pub(crate) mod port;
pub(crate) mod relay_page;
pub(crate) mod rush;
mod secret;
pub(crate) mod signal;
pub(crate) mod source;
pub(crate) mod tape;
pub(crate) mod times;
pub(crate) mod tool;
pub(crate) mod vitals;
pub(crate) mod weather;
