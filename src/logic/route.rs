//! Which node a relay asks for a stream.
