//! The head of a request, from whoever connects.
