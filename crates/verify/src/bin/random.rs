//! Random programs through the engine and the model: `random FIRST_SEED STEPS`.
//!
//! A program that is wrong is made smaller and written to a file, and what to type to see it again
//! is printed.
#![forbid(unsafe_code)]

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use blockmap_verify::drawn::search::{LeftOut, search};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(seed)), Some(Ok(steps)), None) = (numbers.next(), numbers.next(), numbers.next())
    else {
        eprintln!("usage: random FIRST_SEED STEPS");
        return ExitCode::FAILURE;
    };
    println!("from seed {seed} on, until {steps} steps are judged");
    let start = Instant::now();
    match search(seed, steps, LeftOut::Nothing) {
        Ok(totals) => {
            println!("{totals}; {:.1} s", start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            let path = std::env::temp_dir().join(format!("random-{}.trace", failure.drawn.seed));
            match failure.trace.as_ref().map(|trace| fs::write(&path, trace)) {
                Some(Ok(())) => eprintln!("the program for the model: {}", path.display()),
                Some(Err(error)) => eprintln!("{}: {error}", path.display()),
                None => {}
            }
            ExitCode::FAILURE
        }
    }
}
