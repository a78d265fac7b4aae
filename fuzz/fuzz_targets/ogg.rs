//! Ogg, any codec.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::scan::any_cut("application/ogg", data));
