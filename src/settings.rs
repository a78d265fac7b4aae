//! The settings of this node, from file, environment and command line.
