//! The replicated document: a map of records that merges the same way in every order.
