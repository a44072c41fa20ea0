//! How fast a record is read, mapped, planned and routed; nothing is sent.
//!
//! `cargo bench --bench intake`. Each step is measured with all those before it, on one thread; the last one on as many
//! threads as the connector uses.

mod support;

use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use destination_chartmogul::engine::intake::{Intake, read_block};
use destination_chartmogul::protocol::inbound;
use support::route::{Route, bindings};
use support::rows;

/// Enough that starting threads does not count.
const ROWS: u64 = 50_000;
/// What the connector's reader cuts its input into.
const BLOCK: usize = 256 * 1024;

fn intake(criterion: &mut Criterion) {
    let text = rows::text(ROWS);
    let bindings = Arc::new(bindings(rows::CATALOG));
    for (unit, throughput) in [("records", Throughput::Elements(ROWS)), ("bytes", Throughput::Bytes(text.len() as u64))] {
        let mut group = criterion.benchmark_group(unit);
        group.sample_size(10).throughput(throughput);
        group.bench_function("parse", |bench| {
            bench.iter(|| {
                for line in text.split_inclusive(|byte| *byte == b'\n') {
                    drop(black_box(inbound::parse(line)));
                }
            });
        });
        group.bench_function("parse, map, plan", |bench| {
            bench.iter(|| blocks(&text).for_each(|block| drop(black_box(read_block(&bindings, block, 1)))));
        });
        group.bench_function("parse, map, plan, route", |bench| {
            bench.iter(|| {
                let mut route = Route::new(&bindings);
                for block in blocks(&text) {
                    read_block(&bindings, block, 1).into_iter().for_each(|item| route.take(item));
                    route.finish();
                }
                assert_eq!(route.records, ROWS);
            });
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        group.bench_function("parse, map, plan, route, on all threads", |bench| {
            bench.iter_batched(
                || text.clone(),
                |text| {
                    let mut route = Route::new(&bindings);
                    runtime.block_on(route.run(Intake::threads(&bindings, Box::new(Cursor::new(text)))));
                    assert_eq!(route.records, ROWS);
                },
                criterion::BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

/// Cuts a text into blocks of whole lines.
fn blocks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = match rest.len() {
            0 => return None,
            small if small <= BLOCK => small,
            _ => memchr::memrchr(b'\n', &rest[..BLOCK]).map_or(rest.len(), |at| at + 1),
        };
        let (block, left) = rest.split_at(end);
        rest = left;
        Some(block)
    })
}

criterion_group!(benches, intake);
criterion_main!(benches);
