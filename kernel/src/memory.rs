//! The kernel's map: painted once from what firmware says, and changed live from then on.
//!
//! [`start`] goes from start-up's map to the final one. Nothing is written before everything is
//! known: the plan says how many tables it takes, an arena is set aside for them, and only then the
//! first entry is filled. The new tree is complete before it is switched to.

mod address_map;
mod alias;
mod arena;
mod carved;
mod change;
mod direct_map;
mod error;
mod executable;
mod facts;
mod gic;
mod heal;
mod hook;
mod outside;
mod pagealloc;
mod paint;
mod pinned;
mod quiesce;
mod recorded;
mod repaint;
mod reserve;
mod set_aside;
mod stacks;
mod start;
mod system;
mod view;
mod vmalloc;
mod witnessed;

pub(crate) use address_map::{LINEAR, MARKERS};
pub(crate) use carved::Owned;
pub(crate) use executable::{
    Executable, ExecutableError, Purpose, Writing, areas as executable_areas,
};
pub(crate) use facts::Facts;
pub(crate) use stacks::{guarded_stack, stacks};
pub(crate) use start::{Painted, Started, Survey, start};
pub(crate) use system::System;
pub(crate) use view::View;
