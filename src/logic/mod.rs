//! Decisions as pure functions of state, event and time: no socket, task, clock or random source.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod backoff;
pub mod certificates;
pub mod daemon;
pub mod dns;
pub mod document;
pub mod election;
pub mod forecast;
pub mod import;
pub mod jobs;
pub mod ladder;
pub mod login_queue;
pub mod loop_pace;
pub mod members;
pub mod mount_names;
pub mod outside_relay;
pub mod pace;
pub mod policy;
pub mod records;
pub mod relay;
pub mod source;
pub mod transcoding;
