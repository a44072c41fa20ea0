#!/usr/bin/env python3
"""How much of ChartMogul's cap is used on a real socket. Standard library only.

    cap.py DESTINATION [--latency 20ms 100ms 300ms] [--records 800]

For each latency a sandbox with ChartMogul's own limits (40 requests in any second, 20 at once) is started, and `write` inserts new
customers, a request each. The rate is counted by the sandbox, from the first request that arrived to the last.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

CAP = 40
CATALOG = {"streams": [{"stream": {"name": "customers", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                        "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}


def record(key):
    return json.dumps({"type": "RECORD", "record": {"stream": "customers", "data": {"external_id": key}, "emitted_at": 1}})


def measure(binary, latency, records, folder):
    sandbox = subprocess.Popen([binary, "sandbox", "--port", "0", "--latency", latency], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        config = json.loads(sandbox.stdout.readline())
        (folder / "config.json").write_text(json.dumps({**config, "mode": "insert"}))
        (folder / "catalog.json").write_text(json.dumps(CATALOG))
        lines = "\n".join(record(f"c-{n}") for n in range(records)) + "\n"
        command = [binary, "write", "--config", folder / "config.json", "--catalog", folder / "catalog.json"]
        subprocess.run(command, input=lines.encode(), stdout=subprocess.DEVNULL, check=True, timeout=600)
        with urllib.request.urlopen(config["base_url"].replace("/v1", "/sandbox/observed")) as answer:
            return json.load(answer)
    finally:
        sandbox.terminate()
        sandbox.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--latency", nargs="+", default=["20ms", "100ms", "300ms"])
    parser.add_argument("--records", type=int, default=800, help="at most 1000, what the sandbox's log holds")
    given = parser.parse_args()
    worst = 1.0
    print(f"{'latency':>8} {'requests':>9} {'seconds':>8} {'of the cap':>11} {'most in 1 s':>12} {'most at once':>13} {'429':>4} {'503':>4}")
    with tempfile.TemporaryDirectory() as folder:
        for latency in given.latency:
            seen = measure(given.binary, latency, min(given.records, 1000), pathlib.Path(folder))
            seconds = (seen["log"][-1]["at_ms"] - seen["log"][0]["at_ms"]) / 1000
            use = (seen["requests"] - 1) / seconds / CAP
            worst = min(worst, use)
            print(f"{latency:>8} {seen['requests']:>9} {seconds:>8.1f} {use:>11.1%} {seen['most_in_one_second']:>12} "
                  f"{seen['most_in_flight']:>13} {seen['given_429']:>4} {seen['given_503']:>4}")
    print(f"worst use of the cap {worst:.1%}, wanted 97%")
    return 0 if worst >= 0.97 else 1


sys.exit(main())
