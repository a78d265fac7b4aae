//! Whole clusters in virtual time, from a seed.
