//! A mount always has something to play: its listeners hear the highest rung of its ladder that flows, and stay.

mod crowd;
mod demand;
mod edits;
mod encoders;
mod formats;
mod nodes;
mod operators;
mod parted;
mod stage;
mod switches;
