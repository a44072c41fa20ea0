#!/usr/bin/env python3
"""How long `spec` takes, as a whole process, and how large the binary is. To reach: below 20 ms, below 20 MB."""

import os
import statistics
import subprocess
import time

from bench_sandbox import build

RUNS = 50


def main():
    binary, _ = build()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([binary, "spec"], check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    print(f"spec: median {statistics.median(times):.1f} ms of {RUNS} runs ({times[0]:.1f} to {times[-1]:.1f} ms)")
    print(f"binary: {os.path.getsize(binary) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
