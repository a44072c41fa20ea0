//! The road of a record without the network, as a program of its own, so that whole processes can be compared.
//!
//! `cargo bench --bench throughput -- write ROWS [KEYS]` prints rows; `... catalog` their catalog; `... parse FILE` reads
//! each line of a file as a message and no more; `... route FILE` parses, maps, plans and routes each record on as many
//! threads as the connector uses, and prints the STATEs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod support;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::sync::Arc;

use destination_chartmogul::engine::intake::Intake;
use destination_chartmogul::protocol::{Inbound, inbound};
use support::{route, rows};

fn main() -> Result<(), Box<dyn Error>> {
    // cargo adds `--bench` at the end.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", rows] => write(rows.parse()?, rows.parse()?),
        ["write", rows, keys] => write(rows.parse()?, keys.parse()?),
        ["catalog"] => {
            println!("{}", rows::CATALOG.replace('\n', ""));
            Ok(())
        }
        ["parse", file] => parse(file),
        ["route", file] => route(file),
        // `cargo bench` without arguments runs every bench; this one has nothing to say then.
        [] => Ok(()),
        _ => Err("write ROWS [KEYS] | catalog | parse FILE | route FILE".into()),
    }
}

fn write(rows: u64, keys: u64) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    rows::write(rows, keys, |line| out.write_all(line))?;
    Ok(out.flush()?)
}

fn parse(file: &str) -> Result<(), Box<dyn Error>> {
    let mut input = BufReader::with_capacity(1 << 18, File::open(file)?);
    let (mut line, mut records) = (Vec::new(), 0_u64);
    while input.read_until(b'\n', &mut line)? > 0 {
        match inbound::parse(&line) {
            Ok(Inbound::Record(record)) => records += u64::from(record.data.get().len() > 2),
            Ok(_) => {}
            Err(malformed) => return Err(malformed.to_string().into()),
        }
        line.clear();
    }
    eprintln!("{records} records");
    Ok(())
}

fn route(file: &str) -> Result<(), Box<dyn Error>> {
    let bindings = Arc::new(route::bindings(rows::CATALOG));
    let intake = Intake::threads(&bindings, Box::new(File::open(file)?));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut route = route::Route::new(&bindings);
    runtime.block_on(route.run(intake));
    let mut out = std::io::stdout().lock();
    for state in &route.states {
        writeln!(out, "{state}")?;
    }
    eprintln!("{} records, {} of them without a plan, {} states", route.records, route.without_plan, route.states.len());
    Ok(())
}
