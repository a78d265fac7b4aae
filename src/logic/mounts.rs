//! Mount specs as records of the replicated document.
