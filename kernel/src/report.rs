//! Texts the monitor prints: when the steps of the boot were done, and what the map is made of.

mod stat;
mod timeline;

pub use stat::StatText;
pub use timeline::{Mark, Timeline};
