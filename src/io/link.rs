//! The authenticated QUIC connections between nodes.
