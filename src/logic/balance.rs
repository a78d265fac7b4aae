//! Which node a new listener goes to.
