//! A small HTTP client for the command line.
