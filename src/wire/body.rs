//! The body of a source's request: as it is, chunked, or of a stated length.
