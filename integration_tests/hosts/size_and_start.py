#!/usr/bin/env python3
"""How large the built binary is, and how fast `spec` answers. Standard library only.

    size_and_start.py DESTINATION
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

from checks import Checks

RUNS = 50
MEGABYTES = 20
MILLISECONDS = 20


def main(binary):
    checks = Checks()

    @checks.run
    def the_binary_is_small():
        size = binary.stat().st_size / 1e6
        print(f"       {size:.1f} MB, at most {MEGABYTES}")
        assert size < MEGABYTES

    @checks.run
    def spec_answers_at_once():
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            answer = subprocess.run([binary, "spec"], stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
            times.append((time.perf_counter() - began) * 1000)
            assert json.loads(answer)["type"] == "SPEC"
        print(f"       {statistics.median(times):.1f} ms, median of {RUNS} runs, the start of the process included; at most {MILLISECONDS}")
        assert statistics.median(times) < MILLISECONDS

    return checks.done()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
