//! Sources: who may send, and their bytes into a ring.
