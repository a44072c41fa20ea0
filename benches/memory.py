#!/usr/bin/env python3
"""Memory against the number of records: the real binary writes more and more rows over the same 10,000 customers.

    benches/memory.py [--rows 100000 1000000 3000000]

The sandbox runs on loopback with limits far above ChartMogul's, so that memory and not patience is measured. Every row is
a request of its own. To reach: flat, and below 50 MB.
"""

import argparse

from bench_sandbox import build, observed, peak_rss, sandbox, sync

KEYS = 10_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 3_000_000])
    args = parser.parse_args()
    binary, throughput = build()
    print(f"{'rows':>10}{'keys':>8}{'peak MB':>9}{'seconds':>9}{'rows/s':>9}{'requests':>10}{'sandbox MB':>12}", flush=True)
    for rows in args.rows:
        with sandbox(binary, "--requests-per-second", "10000", "--connections", "64") as (config, pid):
            seconds, peak = sync(binary, throughput, config, rows, KEYS)
            requests = observed(config)["requests"]
            theirs = peak_rss(pid)
        print(f"{rows:10}{KEYS:8}{peak:9.1f}{seconds:9.1f}{rows / seconds:9.0f}{requests:10}{theirs:12.1f}", flush=True)


if __name__ == "__main__":
    main()
