//! Time of every row: see `cargo xtask bench host --time`. As noisy as the machine is.

#[cfg(bench)]
mod timed {
    use std::time::{Duration, Instant};

    use blockmap_bench::row;
    use criterion::Criterion;

    /// Has criterion time every row: what comes before and after the work is not timed.
    pub(super) fn all() {
        let mut criterion = Criterion::default()
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .configure_from_args();
        for row in row::all() {
            let name = format!("{}, {}", row.work, row.subject);
            criterion.bench_function(&name, |bencher| {
                bencher.iter_custom(|times| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..times {
                        let done = (row.run)(&mut |work| {
                            let start = Instant::now();
                            work();
                            spent += start.elapsed();
                        });
                        assert!(done.is_ok(), "{name}: {done:?}");
                    }
                    spent
                });
            });
        }
        criterion.final_summary();
    }
}

fn main() {
    #[cfg(bench)]
    timed::all();
    #[cfg(not(bench))]
    eprintln!("this measures when it is built to: see cargo xtask bench --help");
}
