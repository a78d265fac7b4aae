//! Adapters to the world: sockets, QUIC, gossip, disk, clock and hashes.

pub mod answer;
pub mod channel;
pub mod child;
pub mod clock;
pub mod cpu;
pub mod descriptors;
pub mod disk;
pub mod dns;
pub mod door;
pub mod feed;
pub mod geo;
pub mod gossip;
pub mod http;
pub mod https;
pub mod icecast;
pub mod leftover;
pub mod link;
pub mod pacer;
pub mod password;
pub mod regular_file;
pub mod seal;
pub mod tasks;
pub mod tls;
pub mod udp;
pub mod uplink;
pub mod web_root;
