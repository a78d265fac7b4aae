//! MPEG-TS.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::scan::any_cut("video/mp2t", data));
