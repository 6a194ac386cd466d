//! Instructions of every row, counted under callgrind: see `cargo xtask bench host`.
fn main() {}
