//! Sources, each made by hand: what is found in them, and what is said of those that are broken.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod damaged;
mod dumps;
mod image;
mod linux;
mod qmp;
mod raw;
mod stub;
mod text;
