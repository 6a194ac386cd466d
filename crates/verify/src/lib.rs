//! The evidence that the other packages do what they say: what its tests share.
//!
//! [`machine`] boots the kernel and [`console`] reads what it prints; the tests that use them are in
//! `tests/boot`.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

pub mod console;
pub mod counted;
pub mod crew;
pub mod draw;
pub mod drawn;
mod loading;
pub mod machine;
pub mod mixture;
pub mod parked;
pub mod program;
pub mod recorder;
pub mod reference;
pub mod scenario;
pub mod shape;
pub mod symbol;
pub mod tree;
