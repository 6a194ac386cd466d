//! The program as it is used: its commands on images of RAM that are made here.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod commands;
mod image;
mod linux;
mod run;
