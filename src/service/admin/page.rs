//! The status page: the whole mesh as HTML, without a script.
