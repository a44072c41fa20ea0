# Shorthands; each line stands in CONTRIBUTING.md too, so that nobody needs `just`.

# Everything that has to pass.
check:
    .ci/run

# The tests of the crate alone.
test:
    cargo test

# Writes the frozen copies anew: spec, catalog, docs tables, snapshots. Read the diff before you commit it.
bless:
    UPDATE_SPEC=1 BLESS=1 INSTA_UPDATE=always cargo test

# A realistic sync into a sandbox.
demo:
    cargo run --release -- demo

# A ChartMogul look-alike on this machine; --help shows its options.
sandbox *options:
    cargo run --release -- sandbox {{ options }}

# Real programs against the built binary.
hosts:
    .ci/run hosts

# Each fuzz target for a while: `just fuzz 3600` for an hour each.
fuzz seconds="20":
    FUZZ_SECONDS={{ seconds }} .ci/run fuzz

# The container image.
image:
    docker build --tag destination-chartmogul/destination-chartmogul:dev .

# The benchmarks.
bench:
    cargo bench

# How evenly several connectors share one account, in simulated time: takes some minutes.
fairness:
    FAIRNESS_SEEDS=3 cargo test --lib fairness_tests -- --nocapture

# Requests of upserts of every object against the formula.
requests:
    cargo test --lib request_tests -- --nocapture

# What a second identical run takes, for every object and mode.
second-run:
    cargo test --test integration a_second_identical_run -- --nocapture

# Use of the cap of 40 requests a second.
cap *options:
    benches/cap.py {{ options }}

# Bytes for each customer that is known.
known-memory *options:
    benches/known_memory.py {{ options }}

# Memory against the number of records, over the same keys; and against the number of those that wait for their parents.
memory *options:
    benches/memory.py {{ options }}

parked-memory *options:
    benches/parked_memory.py {{ options }}

# The same customers row by row and by this connector.
side-by-side *options:
    benches/side_by_side.py {{ options }}

# Requests of a first run by bulk import.
bulk *options:
    benches/bulk.py {{ options }}

# A sync of everything, ended at every request, STATE and line, and run again: the table.
kill:
    KILL_EVERYWHERE=1 cargo test --test integration kill:: -- --nocapture --test-threads=1

# Every fault against every kind of write, over sockets and, where it takes long, on a paused clock: the tables.
faults:
    SLOW_FAULTS=1 cargo test --test integration fault_matrix:: -- --nocapture
    cargo test --lib outage_tests -- --nocapture

# A sync of all objects under random faults against one without, on a paused clock, for each seed: about two minutes each.
simulate seeds="1..101" records="1000000":
    SIMULATE_SEEDS={{ seeds }} SIMULATE_RECORDS={{ records }} cargo test --profile simulate --lib simulation:: -- --nocapture
