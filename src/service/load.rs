//! What this node reports of its load, and the table that redirects by everybody's.
