//! Password hashes, and a bound on how many are computed at once.
