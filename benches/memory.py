#!/usr/bin/env python3
"""Whether memory stays flat in the number of records. Standard library only; Linux.

    memory.py DESTINATION [--records 100000 1000000 3000000] [--keys 10000]

`write` upserts so many records over a fixed set of keys into a sandbox on loopback whose limits are raised, a process of its own for
each number; printed is the most memory the process held (VmHWM). Records are made while they are piped, so that nothing else grows.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

RATE, CONNECTIONS, MEGABYTES = 10_000, 200, 50
CATALOG = {"streams": [{"stream": {"name": "customers", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                        "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}
ROW = '{"type":"RECORD","record":{"stream":"customers","data":{"external_id":"c-%d","name":"Name %d","company":"Company %d","city":"Berlin","seats":%d},"emitted_at":1}}\n'
STATE = '{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"customers"},"stream_state":{"n":%d}}}}\n'


def feed(pipe, records, keys):
    for start in range(0, records, 1000):
        rows = "".join(ROW % (n % keys, n, n, n % 100) for n in range(start, min(start + 1000, records)))
        pipe.write((rows + STATE % start).encode())
    pipe.close()


def peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(binary, records, keys, folder):
    limits = ["--requests-per-second", str(RATE), "--connections", str(CONNECTIONS)]
    sandbox = subprocess.Popen([binary, "sandbox", "--port", "0", *limits], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        (folder / "config.json").write_bytes(sandbox.stdout.readline())
        (folder / "catalog.json").write_text(json.dumps(CATALOG))
        began = time.monotonic()
        out = open(folder / "out.jsonl", "wb")
        write = subprocess.Popen([binary, "write", "--config", folder / "config.json", "--catalog", folder / "catalog.json"],
                                 stdin=subprocess.PIPE, stdout=out)
        feed(write.stdin, records, keys)
        # The process ends when its last record is written; until then its high water mark is there to be read.
        most = 0.0
        while write.poll() is None:
            try:
                most = max(most, peak(write.pid))
            except (FileNotFoundError, ProcessLookupError):
                break
            time.sleep(0.02)
        assert write.wait() == 0, "write failed"
        states = sum(b'"STATE"' in line for line in open(folder / "out.jsonl", "rb"))
        assert states == -(-records // 1000), f"{states} STATEs came back"
        return most, time.monotonic() - began
    finally:
        sandbox.terminate()
        sandbox.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=os.path.abspath)
    parser.add_argument("--records", nargs="+", type=int, default=[100_000, 1_000_000, 3_000_000])
    parser.add_argument("--keys", type=int, default=10_000)
    given = parser.parse_args()
    worst = 0.0
    print(f"{'records':>10} {'keys':>8} {'most memory':>12} {'seconds':>8} {'records/s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for records in given.records:
            most, seconds = measure(given.binary, records, given.keys, pathlib.Path(folder))
            worst = max(worst, most)
            print(f"{records:>10} {given.keys:>8} {most:>9.1f} MB {seconds:>8.0f} {records / seconds:>10.0f}", flush=True)
    print(f"most memory {worst:.1f} MB, wanted under {MEGABYTES} MB")
    return 0 if worst < MEGABYTES else 1


sys.exit(main())
