//! `blockmap-bench rows`: the rows that are counted, each done once and checked, as JSON.
//! `blockmap-bench plots FOLDER`: draws plots into a folder of documents, and writes what is drawn.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use blockmap_bench::{cpus, plot, reach, report, row, scaling};
use serde_json::{Value, json};

/// After how many changes of single pages misses are counted.
const SPLITS: [u64; 4] = [10, 100, 1000, 10_000];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let done = match asked.as_slice() {
        ["rows"] => rows(),
        ["plots", folder] => plots(Path::new(folder)),
        _ => Err("this is run by cargo xtask bench; say: rows, or: plots FOLDER".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Does every row once, and prints what it is.
fn rows() -> Result<(), String> {
    let mut all = Vec::new();
    for row in row::all() {
        let units = (row.run)(&mut |work| work());
        let units = units.map_err(|why| format!("{}, {}: {why:?}", row.work, row.subject))?;
        all.push(json!({
            "work": row.work,
            "subject": row.subject,
            "unit": row.unit,
            "units": units,
            "aim": row.aim,
        }));
    }
    println!("{}", Value::Array(all));
    Ok(())
}

/// Draws everything.
fn plots(folder: &Path) -> Result<(), String> {
    let refused = |why: blockmap_bench::subject::Refused| why.0;
    let kernel = folder.join("performance.md");
    let kernel =
        fs::read_to_string(&kernel).map_err(|why| format!("{}: {why}", kernel.display()))?;
    let costs = plot::costs(&kernel).map_err(|why| why.to_string())?;
    let lines = cpus::lines(&kernel).map_err(|why| why.to_string())?;
    let sizes: Result<Vec<_>, _> = scaling::SIZES.into_iter().map(scaling::size).collect();
    let sizes = sizes.map_err(refused)?;
    let maps = reach::maps(&SPLITS).map_err(refused)?;
    let misses = reach::all(&maps);
    let drawn = [
        ("plots/tables.svg", plot::tables(&sizes)),
        ("plots/reach.svg", plot::reach(&maps, &misses)),
        ("plots/linux.svg", plot::beside_linux(&costs)),
        ("plots/cpus.svg", cpus::plot(&lines)),
        ("reach.md", report::page(&maps, &misses, &sizes)),
    ];
    let made = folder.join("plots");
    fs::create_dir_all(&made).map_err(|why| format!("{}: {why}", made.display()))?;
    for (name, text) in drawn {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
