//! What a node keeps on disk, saved so that a crash loses nothing.
