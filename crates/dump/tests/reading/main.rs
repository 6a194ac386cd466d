//! What reading translation tables promises, on tables made by hand, by chance and by Linux.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod arena;
mod audit;
mod hostile;
mod laws;
mod linux;
mod stat;
mod text;
