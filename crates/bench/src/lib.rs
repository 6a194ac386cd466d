//! What the engine costs as a library on a host, counted beside other libraries on the same work;
//! how far a TLB reaches over its maps; how cost grows with memory; and the plots of all that.
//!
//! [`row`] lists what is counted, once for every [`subject`]. `benches/count.rs` counts it in
//! instructions, `benches/time.rs` in time; `cargo xtask bench host` runs both.
#![forbid(unsafe_code)]

pub mod cpus;
pub mod draw;
pub mod engine;
pub mod figures;
#[cfg(bench)]
pub mod peers;
pub mod platform;
pub mod plot;
pub mod rate;
pub mod reach;
pub mod report;
pub mod row;
pub mod scaling;
pub mod subject;
pub mod svg;
pub mod tlb;
pub mod work;
