//! The one TCP port on which sources, listeners, players and browsers all arrive.
