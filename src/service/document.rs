//! The replicated document on this node: changed here, learned from peers, kept on disk.
