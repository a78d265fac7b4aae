//! A request head, and what is read of it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::http::head(data));
