//! The body of a source, chunked or of a stated length.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::http::chunked(data));
