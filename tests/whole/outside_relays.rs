//! Outside relays: streams of real Icecast servers on a real mesh, and of servers that do not behave.

mod bad_servers;
mod encoders;
mod moves;
mod on_demand;
mod plays;
mod resumed;
mod server;
mod stage;
