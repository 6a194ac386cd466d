//! The oracle: everything that the Arm architecture lets hardware do with a list of effects on live
//! translation tables, and whether any of it is wrong.
//!
//! It reads what the engine, or a booted kernel, has written down as events, and shares no code
//! with either: descriptors, shapes and TLB maintenance operands are decoded here once more, from
//! the manual alone.
//!
//! A [`Program`](program::Program) is a machine with its tables, and what its CPUs do: effects, the
//! edges between CPUs (locks, signals, parking), and *intents*: what the addresses of a range shall
//! translate to. Without an intent, every address must go on translating as it does.
//! [`explore`](explore::explore) tries every order in which stores become visible, walkers of every
//! CPU read, TLBs take in and lose, and invalidations take effect, at the real size of tables.
//!
//! ```
//! use blockmap_model::explore::{Options, explore};
//! use blockmap_model::text::read;
//!
//! let heading = "
//!     geometry 4k base 48 48 el1 upper
//!     root 0x40000000
//!     cpus 2
//!     initially fill 0x40000000[0..512] 0x0 step 0x0
//!     initially store 0x40000000[0] 0x40001003
//!     initially fill 0x40001000[0..512] 0x60000080000701 step 0x40000000
//!     cpu 0:              # The first GiB becomes a table of 2 MiB blocks.
//!     fill 0x40002000[0..512] 0x60000080000701 step 0x200000
//! ";
//! let split = |barrier: &str| read(&format!("{heading}{barrier}\nstore 0x40001000[0] 0x40002003"));
//!
//! assert!(explore(&split("dsb ishst")?, Options::QUICK)?.verdicts.is_empty());
//!
//! let verdict = &explore(&split("")?, Options::QUICK)?.verdicts[0];
//! assert_eq!(verdict.rule.key(), "publish-after-fill");
//! assert_eq!(verdict.effect.text, "store  0x40001000[0] 0x40002003");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is not modelled
//! Stage 2 and its TLB entries; more than one address space (pointers are taken to be left behind by
//! others, leaves not), and what another tree says while its root is in use; caches of data that are
//! not coherent with walkers, but for memory that a step says is written past them; lines of caches
//! that are in such memory only in part; accesses that began before an invalidation and end after it, beyond
//! the issuer's own; the nT bit. What a load returns is never in question: programs are recorded.
#![forbid(unsafe_code)]

pub mod coherence;
pub mod decode;
pub mod explore;
pub mod judge;
pub mod maintenance;
pub mod meaning;
pub mod profile;
pub mod program;
pub mod replay;
pub mod rights;
pub mod shape;
pub mod text;
pub mod verdict;
