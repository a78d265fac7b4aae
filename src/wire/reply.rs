//! The heads of our answers, as bytes.
