//! What goes over a link between two nodes.
