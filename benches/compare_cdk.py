#!/usr/bin/env python3
"""How much faster this connector reads, maps and routes than a destination on Airbyte's Python CDK counts.

    benches/compare_cdk.py --cdk-python VENV/bin/python [--rows 1000000] [--runs 5]

The CDK goes into an environment of its own: python3 -m venv VENV && VENV/bin/pip install airbyte-cdk

The same rows, made once, are read from the same file by whole processes, turn by turn, so that a busy machine is busy for
all. The CDK's destination (`cdk_count.py`) sends nothing and maps nothing. Ours parses every message, maps every row to
ChartMogul's fields under default settings, normalises and checks the values, makes the plan and takes it through lanes and
ledger to its STATE; only requests are left out. Parsing alone is measured apart.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def throughput_program():
    """Builds the program and says where it is."""
    build = ["cargo", "build", "--release", "--bench", "throughput", "--message-format", "json"]
    lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines]
    return next(m["executable"] for m in built if m.get("executable") and m["target"]["name"] == "throughput")


def run(command, stdin=None):
    """Seconds of wall clock and of processor, and what was said on stderr."""
    with open(stdin or os.devnull, "rb") as given, tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    if status != 0:
        raise SystemExit(f"{command[0]} failed: {words}")
    return wall, usage.ru_utime + usage.ru_stime, words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cdk-python", required=True, help="a Python that has airbyte-cdk")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()

    ours = throughput_program()
    with tempfile.TemporaryDirectory() as folder:
        rows, catalog, config = (str(Path(folder) / name) for name in ("rows.jsonl", "catalog.json", "config.json"))
        with open(rows, "wb") as file:
            subprocess.run([ours, "write", str(args.rows)], stdout=file, check=True)
        with open(catalog, "wb") as file:
            subprocess.run([ours, "catalog"], stdout=file, check=True)
        Path(config).write_text("{}")
        size = os.path.getsize(rows)

        cdk = [args.cdk_python, str(ROOT / "benches" / "cdk_count.py"), "write", "--config", config, "--catalog", catalog]
        contests = {
            "Python CDK, counts only": (cdk, rows),
            "ours, parse only, 1 thread": ([ours, "parse", rows], None),
            "ours, parse, map and route": ([ours, "route", rows], None),
        }
        load = os.getloadavg()[0]
        print(f"{args.rows} rows, {size / args.rows:.0f} bytes a row, {os.cpu_count()} cores, {args.runs} runs, load {load:.1f}")
        taken = {name: [] for name in contests}
        for _ in range(args.runs):
            for name, (command, stdin) in contests.items():
                result = run(command, stdin)
                assert f"{args.rows} records" in result[2], result[2]
                taken[name].append(result)

    print(f"{'':28}{'records/s':>12}{'MB/s':>8}{'wall s':>9}{'(min':>8}{'max)':>8}{'cpu s':>8}{'ratio':>8}")
    walls = {name: [result[0] for result in results] for name, results in taken.items()}
    yardstick = walls["Python CDK, counts only"]
    for name, results in taken.items():
        wall = statistics.median(walls[name])
        # Of each turn its own ratio: what the machine did beside it, it did to both.
        ratio = statistics.median(cdk / own for cdk, own in zip(yardstick, walls[name]))
        cpu = statistics.median(result[1] for result in results)
        print(
            f"{name:28}{args.rows / wall:12,.0f}{size / wall / 1e6:8.0f}{wall:9.2f}{min(walls[name]):8.2f}{max(walls[name]):8.2f}"
            f"{cpu:8.2f}{ratio:8.1f}"
        )


if __name__ == "__main__":
    main()
