//! `blockmap-bench rows`: the rows that are counted, each done once and checked, as JSON.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use blockmap_bench::row;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    match asked.as_slice() {
        ["rows"] => rows(),
        _ => {
            eprintln!("this is run by cargo xtask bench; say: rows");
            ExitCode::FAILURE
        }
    }
}

/// Does every row once, and prints what it is.
fn rows() -> ExitCode {
    let mut all = Vec::new();
    for row in row::all() {
        match (row.run)(&mut |work| work()) {
            Ok(units) => all.push(json!({
                "work": row.work,
                "subject": row.subject,
                "unit": row.unit,
                "units": units,
                "aim": row.aim,
            })),
            Err(failed) => {
                eprintln!("{}, {}: {failed:?}", row.work, row.subject);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", Value::Array(all));
    ExitCode::SUCCESS
}
