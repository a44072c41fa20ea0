#!/usr/bin/env python3
"""Memory against the number of records that wait for their parents, beyond what is held in memory.

    benches/parked_memory.py [--rows 100000 1000000]

Attributes of five customers, each row half a kilobyte, come before their customers: once the customers come last, once never. With
the customers each row is written, without them each is rejected by itself. The sandbox runs on loopback with limits far above
ChartMogul's. To reach: below 350 MB, whatever waits: 256 MiB for that, and what a sync takes anyway.
"""

import argparse
import json
import sys

from bench_sandbox import build, loaded, observed, sandbox, write

PARENTS = 5
CATALOG = {
    "streams": [
        {
            "stream": {"name": name, "json_schema": {"type": "object"}, "supported_sync_modes": ["incremental"]},
            "sync_mode": "incremental",
            "destination_sync_mode": mode,
            "cursor_field": ["at"],
            "primary_key": [[key]],
            "sync_id": 1,
            "generation_id": 1,
            "minimum_generation_id": 0,
        }
        for name, key, mode in [("custom_attributes", "key", "append_dedup"), ("customers", "external_id", "append_dedup")]
    ]
}


def message(kind, content):
    return json.dumps({"type": kind, kind.lower(): content}) + "\n"


def record(stream, data):
    return message("RECORD", {"stream": stream, "data": data, "emitted_at": 1})


def ends(stream, number):
    descriptor = {"name": stream}
    yield message("STATE", {"type": "STREAM", "stream": {"stream_descriptor": descriptor, "stream_state": {"n": number}}})
    status = {"stream_descriptor": descriptor, "status": "COMPLETE"}
    yield message("TRACE", {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status})


def lines(rows, comes):
    for at in range(rows):
        value = f"{at} " + "t" * 200
        yield record("custom_attributes", {"customer_external_id": f"c{at % PARENTS}", "key": f"k{at // PARENTS % 10}", "value": value})
    yield from ends("custom_attributes", 1)
    if comes:
        for at in range(PARENTS):
            yield record("customers", {"external_id": f"c{at}", "name": f"Customer {at}"})
    yield from ends("customers", 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--binary", help="measure this one instead of building")
    parser.add_argument("--only", choices=["comes", "never"])
    args = parser.parse_args()
    binary = args.binary or build()[0]
    print(f"{'rows':>10}{'parents':>9}{'peak MB':>9}{'seconds':>9}{'written':>10}{'rejected':>10}{'requests':>10}", flush=True)
    for rows in args.rows:
        for comes in [True, False]:
            if args.only and args.only != ("comes" if comes else "never"):
                continue
            with sandbox(binary, "--requests-per-second", "10000", "--connections", "64") as (config, _):
                config["stop_when_rejected"] = {"percent": 100, "after": rows + 1}
                seconds, peak, messages = write(binary, config, CATALOG, lines(rows, comes))
                requests = observed(config)["requests"]
            written, rejected = loaded(messages)
            word = "come" if comes else "never"
            print(f"{rows:10}{word:>9}{peak:9.1f}{seconds:9.1f}{written:10.0f}{rejected:10.0f}{requests:10}", flush=True)
            expected = (rows + PARENTS, 0) if comes else (0, rows)
            if (written, rejected) != expected:
                sys.exit(f"{expected} expected")


if __name__ == "__main__":
    main()
