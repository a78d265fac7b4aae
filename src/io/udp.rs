//! The mesh's UDP socket, which counts what is no traffic of ours.
