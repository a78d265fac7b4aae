//! The sticky bully election of one seat, as a state machine that does no I/O.
