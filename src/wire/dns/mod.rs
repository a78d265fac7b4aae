//! DNS messages: from the bytes of a query to a question, and from a finding to the bytes of an answer.
//!
//! Over UDP a sender can forge the address of another machine, which then gets the answer. So an answer is never much
//! longer than its query, see [`MOST_AMPLIFICATION`], and a message that is itself an answer gets none.

mod answer;
mod query;

pub use query::{Carrier, Query, Received, Subnet, read};

/// The longest answer over UDP: what passes every network in one piece (the DNS flag day of 2020).
pub const MAX_UDP_BYTES: usize = 1_232;
/// The longest answer over UDP to a client that does not announce a greater size (RFC 1035).
const PLAIN_UDP_BYTES: usize = 512;
/// How many times as long as its query an answer over UDP may be; a longer one is given by TCP, where an address cannot
/// be forged. Eight IPv6 addresses, the most in an answer, take six to seven times the bytes.
pub const MOST_AMPLIFICATION: usize = 8;

#[cfg(test)]
mod tests;
