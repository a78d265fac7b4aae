//! The conversations between nodes as machines that do no I/O: events in, outputs out; time, chance and the view are
//! arguments. The services and the simulations drive the same machines.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod authority;
pub mod certificates;
pub mod ended;
pub mod fitting;
pub mod ladder;
pub mod listener;
pub mod making;
pub mod node_reader;
pub mod on_air;
pub mod own_address;
pub mod prologue;
pub mod pull;
pub mod seats;
pub mod serve;
pub mod settle;
pub mod source;
pub mod table;
pub mod transcoder_seats;
pub mod view;
pub mod yielding;
