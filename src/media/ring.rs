//! The last bytes of a stream in memory: one writer, many readers.
