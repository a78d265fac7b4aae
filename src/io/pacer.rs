//! The few threads that write to all listeners.
