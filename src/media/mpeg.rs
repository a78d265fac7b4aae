//! MPEG audio frames: where they begin and how long they last.
