//! The whole mesh as this node sees it.
