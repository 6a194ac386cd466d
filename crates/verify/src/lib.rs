//! The evidence that the other packages do what they say: what its tests share.
//!
//! [`machine`] boots the kernel; the tests that use it are in files whose names begin with `boot`.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "this crate is tests only")]

pub mod machine;
pub mod program;
pub mod recorder;
pub mod reference;
pub mod tree;
