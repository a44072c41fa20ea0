#!/usr/bin/env python3
"""Use of the API's limits on a real socket: the real binary writes new customers for a while into a sandbox that is as
strict as ChartMogul says it is, 40 requests in any one second and 20 at once.

    benches/cap.py [--latency 20ms 100ms 300ms] [--seconds 20]

To reach: at least 97% of the cap, and no 429. The same in simulated time, with every answer exact: src/engine/cap_tests.rs.
"""

import argparse

from bench_sandbox import build, observed, sandbox, sync

CAP = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", nargs="+", default=["20ms", "100ms", "300ms"])
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    binary, throughput = build()
    rows = args.seconds * CAP
    print(
        f"{'latency':>8}{'requests':>10}{'seconds':>9}{'of the cap':>12}{'most in 1 s':>13}{'most at once':>14}{'429':>5}{'503':>5}",
        flush=True,
    )
    for latency in args.latency:
        with sandbox(binary, "--latency", latency) as (config, _):
            # One request for a customer: nothing is looked up.
            sync(binary, throughput, config | {"mode": "insert"}, rows, rows)
            seen = observed(config)
        # From the first arrival to the last, as the sandbox saw them: starting the process is not at issue here. Its log
        # keeps the last 1,000 requests.
        times = [entry["at_ms"] for entry in seen["log"]]
        seconds = (max(times) - min(times)) / 1000
        used = (len(times) - 1) / seconds / CAP
        print(
            f"{latency:>8}{seen['requests']:10}{seconds:9.2f}{used:12.1%}{seen['most_in_one_second']:13}"
            f"{seen['most_in_flight']:14}{seen['given_429']:5}{seen['given_503']:5}",
            flush=True,
        )


if __name__ == "__main__":
    main()
