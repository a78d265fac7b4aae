//! Listeners: which node serves them, and how they begin.
