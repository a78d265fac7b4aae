//! DNS messages: the bytes of a query to a question, and what was found to the bytes of an answer.
//!
//! Over UDP anybody can ask in somebody else's name, and the answer goes to that one. So an answer is never much
//! longer than its query, see [`MOST_AMPLIFICATION`], and to what is itself an answer nothing is said at all.

mod answer;
mod query;

pub use query::{Carrier, Heard, Query, Subnet, read};

/// The longest answer over UDP: what passes every network in one piece (the DNS flag day of 2020).
pub const MAX_UDP_BYTES: usize = 1_232;
/// The longest answer over UDP to who does not say that he takes longer ones (RFC 1035).
const PLAIN_UDP_BYTES: usize = 512;
/// How many times as long as its query an answer over UDP may be at most; who needs more comes by TCP, where nobody can
/// ask in another's name. Eight IPv6 addresses, the most that is answered, take six to seven times the bytes.
pub const MOST_AMPLIFICATION: usize = 8;

#[cfg(test)]
mod tests;
