//! Builds a node from its settings, owns its tasks and stops them in order.
