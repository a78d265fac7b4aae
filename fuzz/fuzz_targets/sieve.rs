//! The sieve of pages of Ogg.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::filter::sieve(data));
