//! Owners: those in the kernel whose memory needs rights of its own.
//!
//! All of them carve their memory out of the linear map, change its rights as they please, and give
//! it back as it was.

pub(crate) mod cycles;
mod exports;
pub(crate) mod guard;
pub(crate) mod hotplug;
pub(crate) mod jit;
pub(crate) mod modules;
pub(crate) mod secret;
pub(crate) mod share;
pub(crate) mod slots;
