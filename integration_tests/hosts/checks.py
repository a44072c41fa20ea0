"""What the scripts of this folder share: counting checks, and a sandbox of their own."""

import contextlib
import json
import subprocess
import traceback
import urllib.request


class Checks:
    """Runs checks, counts them, and goes on after one that fails."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def run(self, check):
        try:
            check()
        except Exception:  # noqa: BLE001 - whatever breaks is a failed check
            self.failed += 1
            print(f"FAILED {check.__name__}", flush=True)
            traceback.print_exc()
        else:
            self.passed += 1
            print(f"ok     {check.__name__}", flush=True)

    def done(self):
        """Prints the sum, and gives the exit status."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def equal(given, expected):
    assert given == expected, f"{given!r} is not {expected!r}"


class Sandbox:
    """A sandbox that is running: its config, and what it says of itself."""

    def __init__(self, config):
        self.config = config
        self.address = config["base_url"].removesuffix("/v1")

    def get(self, path):
        # Loopback is nothing to ask a proxy for.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def state(self):
        """The whole account."""
        return self.get("/sandbox/state")

    def observed(self):
        """Counts and peaks of what arrived."""
        return self.get("/sandbox/observed")


@contextlib.contextmanager
def sandbox(binary, *options):
    """Starts a sandbox on a free port, and stops it whatever happens."""
    command = [str(binary), "sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{' '.join(command)} ended with {process.wait()} before it was ready")
            yield Sandbox(json.loads(line))
        finally:
            process.terminate()
