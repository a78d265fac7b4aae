//! Decisions as pure functions of state, event and time: no socket, task, clock or random source.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod arrivals;
pub mod backoff;
pub mod clocks;
pub mod document;
pub mod election;
pub mod fields;
pub mod follow;
pub mod forecast;
pub mod forgotten;
pub mod founding;
pub mod health;
pub mod login_queue;
pub mod mounts;
pub mod outside;
pub mod pace;
pub mod place;
pub mod policy;
pub mod reach;
pub mod reservations;
pub mod rivals;
pub mod route;
pub mod steadiness;
pub mod steering;
pub mod throttle;
pub mod zone;
