//! Rings that other nodes fill.
