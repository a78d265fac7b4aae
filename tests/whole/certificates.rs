//! Certificates by themselves: from a real authority, for whatever names, whichever node dies.

mod failures;
mod gate;
mod imports;
mod listeners;
mod orders;
mod others;
mod parted;
mod stage;
