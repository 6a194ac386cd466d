//! What several CPUs may do at once, tried in every order: `cargo xtask loom`.
//!
//! loom runs each model again and again, with another order of the CPUs' accesses each time and with
//! every value that the memory model lets a load have. Built without `--cfg loom`, which stands for
//! its atomics, there is nothing here.
#![cfg(loom)]

mod frames;
mod locks;
mod parking;
mod readers;
mod terms;
mod trace;

use blockmap::Terms;
use blockmap::layout::Strategy;
use blockmap::vmsa::TlbiForm;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

/// What strong CPUs agree on.
const STRONG: Terms = Terms { strategy: Strategy::Live, tlbi: TlbiForm::Ranged };

/// Tries `model` in every order.
fn every_order(model: impl Fn() + Sync + Send + 'static) {
    Builder::new().check(model);
}

/// Tries `model` in every order in which CPUs are overtaken at most `times` times: three of them that
/// wait for each other have too many orders for all.
fn overtaken(times: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(times);
    builder.check(model);
}

/// Runs `work` on another CPU with what all share.
fn on_another_cpu<S: Sync + Send + 'static, T: 'static>(
    shared: &Arc<S>,
    work: impl Fn(&S) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared))
}
