//! The headers of proxies, and logins.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| antiphon_fuzz::http::logins(data));
