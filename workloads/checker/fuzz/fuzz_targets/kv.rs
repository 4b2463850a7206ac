#![no_main]

mod shared;

use checker::formats::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shared::hold(bytes, Some(Format::PorcupineKv)));
