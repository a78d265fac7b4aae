//! Files that are played again and again: tags before the audio, tables of contents, and all that a round is made of.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::looped::file(data));
