//! The first line of a Shoutcast source.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::http::shoutcast(data));
