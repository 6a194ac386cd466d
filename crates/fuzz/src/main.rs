//! The program that `cargo xtask fuzz` runs: libFuzzer, on the target that the environment names.
#![cfg_attr(fuzzing, no_main)]
#![forbid(unsafe_code)]

#[cfg(fuzzing)]
mod search {
    use std::sync::OnceLock;

    static FEED: OnceLock<fn(&[u8])> = OnceLock::new();

    fn chosen() -> fn(&[u8]) {
        let name = std::env::var("BLOCKMAP_FUZZ_TARGET").unwrap_or_default();
        let target = blockmap_fuzz::target(&name);
        target.unwrap_or_else(|| panic!("BLOCKMAP_FUZZ_TARGET={name} is no target")).feed
    }

    libfuzzer_sys::fuzz_target!(|data: &[u8]| FEED.get_or_init(chosen)(data));
}

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("this is built to search for input: see cargo xtask fuzz --help");
    std::process::exit(1);
}
