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

# The container image.
image:
    docker build --tag destination-chartmogul/destination-chartmogul:dev .

# The benchmarks.
bench:
    cargo bench

# How evenly several connectors share one account, in simulated time: takes some minutes.
fairness:
    FAIRNESS_SEEDS=3 cargo test --lib fairness_tests -- --nocapture
