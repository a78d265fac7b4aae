//! Where a stream of any format may be joined.
