//! Titles, woven into a stream.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::titles::icy(data));
