//! Gossip by chitchat, carried over the links.
