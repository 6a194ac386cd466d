//! Texts the monitor prints: when the steps of the boot were done, what the map is made of, and
//! whether any of it is writable and executable.

mod stat;
mod timeline;
mod wx;

pub use stat::StatText;
pub use timeline::{Mark, Timeline};
pub use wx::WxText;
