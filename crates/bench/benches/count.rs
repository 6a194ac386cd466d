//! Instructions of every row, counted under callgrind: see `cargo xtask bench host`.

#[cfg(bench)]
mod counted {
    use std::hint::black_box;

    use blockmap_bench::row;
    use gungraun::prelude::*;
    use gungraun::{Callgrind, EntryPoint};

    /// What is counted: this function, and what it calls.
    #[inline(never)]
    fn measured(work: &mut dyn FnMut()) {
        black_box(&mut *work)();
    }

    #[library_benchmark]
    #[benches::row(iter = 0..row::all().len())]
    fn count(number: usize) {
        let row = row::all()[number];
        if let Err(failed) = (row.run)(&mut |work| measured(work)) {
            // No figure, and the reader is told why.
            panic!("{}, {}: {failed:?}", row.work, row.subject);
        }
    }

    library_benchmark_group!(
        name = rows,
        config = LibraryBenchmarkConfig::default().tool(
            Callgrind::with_args(["--cache-sim=no"])
                .entry_point(EntryPoint::Custom("*measured*".to_owned()))
        ),
        benchmarks = count
    );
}

#[cfg(bench)]
use counted::rows;

#[cfg(bench)]
gungraun::main!(library_benchmark_groups = rows);

#[cfg(not(bench))]
fn main() {
    eprintln!("this counts when it is built to: see cargo xtask bench --help");
}
