//! What each node's load will be once everybody who is on the way has arrived.
