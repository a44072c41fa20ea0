#!/usr/bin/env python3
"""Memory for each customer that is known: the peak of a sync that knows a small account, and of one that knows a large one.

    benches/known_memory.py [--customers 28000 224000 [30000 240000 ...]]

A sandbox is filled with customers (external id, name, e-mail address, country, ten custom attributes of all five types) by
the binary itself, in insert mode. Then a second process upserts the rows that are there already: it reads the whole listing
of customers, compares every row, and writes nothing (asserted). Rows are made as they are read, and more of them than are
ever in flight, so that input takes the same memory in both syncs. Printed is the peak resident memory of that second
process (VmHWM), and what it grew by for each further customer: fingerprints, keys, UUIDs, the tables that find them and what
those need while they grow, and what the allocator lost.

Tables double when they are 7/8 full, so that the figure swings with the number of customers. Both accounts of a pair are
eight times one another, as full as one another: of the first pair the tables are all but full, of the second they have just
doubled, which is the worst. To reach: at most 400 bytes for each pair; it ends with 1 where one takes more.
"""

import argparse

import bench_rows
from bench_sandbox import build, observed, outcomes, sandbox, write

MOST = 400


def peak_of(binary, count):
    """What a sync of so many customers that are there takes: requests, peak MB, seconds."""

    def rows():
        return bench_rows.lines("customers", map(bench_rows.row, range(count)))

    with sandbox(binary, "--requests-per-second", "10000", "--connections", "64") as (config, _):
        _, _, messages = write(binary, config | {"mode": "insert"}, bench_rows.catalog(), rows())
        assert outcomes(messages, "customers") == {"read": count, "created": count}, outcomes(messages, "customers")
        filled = observed(config)["requests"]
        seconds, peak, messages = write(binary, config, bench_rows.catalog(), rows())
        assert outcomes(messages, "customers") == {"read": count, "unchanged": count}, outcomes(messages, "customers")
        seen = observed(config)
    writes = sum(sum(ends.values()) for route, ends in seen["by_route"].items() if not route.startswith("GET"))
    assert (filled, writes) == (count, count), (filled, writes)
    return seen["requests"] - filled, peak, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, nargs="+", default=[28_000, 224_000, 30_000, 240_000], help="in pairs")
    args = parser.parse_args()
    binary, _ = build()
    print(f"{'customers known':>16}{'requests':>10}{'peak MB':>9}{'seconds':>9}{'bytes for each further customer':>33}", flush=True)
    slopes = []
    for small, large in zip(args.customers[::2], args.customers[1::2], strict=True):
        peaks = []
        for count in (small, large):
            requests, peak, seconds = peak_of(binary, count)
            peaks.append(peak * 1024 * 1024)
            slope = f"{(peaks[1] - peaks[0]) / (large - small):.0f}" if count == large else ""
            print(f"{count:16}{requests:10}{peak:9.1f}{seconds:9.1f}{slope:>33}", flush=True)
        slopes.append((peaks[1] - peaks[0]) / (large - small))
    if max(slopes) > MOST:
        raise SystemExit(f"more than {MOST} bytes for each customer")


if __name__ == "__main__":
    main()
