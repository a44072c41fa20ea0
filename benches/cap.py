#!/usr/bin/env python3
"""Use of the API's limits on a real socket: the real binary writes for a while into a sandbox that is as strict as ChartMogul
says it is, 40 requests in any one second and 20 at once.

    benches/cap.py [--latency 20ms 100ms 300ms] [--seconds 20]

Three runs at each latency: new customers (insert: a write each), a first upsert of new customers (one look at the empty account,
then a write each), and customers that are looked up by their e-mail address and changed (a read and a write each, in turn).

To reach: at least 97% of the cap, and no 429. The same in simulated time, with every answer exact: src/engine/cap_tests.rs.
"""

import argparse

import bench_rows
from bench_sandbox import build, observed, outcomes, sandbox, sync, write

CAP = 40


def inserts(binary, throughput, config, requests):
    sync(binary, throughput, config | {"mode": "insert"}, requests, requests)


def first_upsert(binary, throughput, config, requests):
    sync(binary, throughput, config, requests - 1, requests - 1)


def look_and_change(binary, throughput, config, requests):
    # These customers stand in the sandbox from the start.
    count = requests // 2
    rows = ({"email": f"sample{n}@example.com", "name": f"Renamed {n}"} for n in range(1, count + 1))
    config = config | {"mode": "update", "streams": [{"stream": "customers", "match": "email"}]}
    _, _, messages = write(binary, config, {"streams": [bench_rows.stream("customers")]}, bench_rows.lines("customers", rows))
    assert outcomes(messages, "customers") == {"read": count, "updated": count}, outcomes(messages, "customers")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", nargs="+", default=["20ms", "100ms", "300ms"])
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    binary, throughput = build()
    requests = args.seconds * CAP
    print(
        f"{'':24}{'latency':>8}{'requests':>10}{'reads':>7}{'seconds':>9}{'of the cap':>12}{'most in 1 s':>13}{'most at once':>14}"
        f"{'429':>5}{'503':>5}",
        flush=True,
    )
    runs = [
        ("new, insert", inserts, 0),
        ("new, first upsert", first_upsert, 0),
        ("look-up and change each", look_and_change, requests // 2),
    ]
    for latency in args.latency:
        for name, run, there in runs:
            with sandbox(binary, "--latency", latency, "--customers", str(there)) as (config, _):
                run(binary, throughput, config, requests)
                seen = observed(config)
            reads = sum(sum(ends.values()) for route, ends in seen["by_route"].items() if route.startswith("GET"))
            # From the first arrival to the last, as the sandbox saw them: starting the process is not at issue here. Its log
            # keeps the last 1,000 requests.
            times = [entry["at_ms"] for entry in seen["log"]]
            seconds = (max(times) - min(times)) / 1000
            used = (len(times) - 1) / seconds / CAP
            print(
                f"{name:24}{latency:>8}{seen['requests']:10}{reads:7}{seconds:9.2f}{used:12.1%}{seen['most_in_one_second']:13}"
                f"{seen['most_in_flight']:14}{seen['given_429']:5}{seen['given_503']:5}",
                flush=True,
            )


if __name__ == "__main__":
    main()
