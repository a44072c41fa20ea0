"""What the scripts here share: programs, a sandbox, and a sync of the real binary against it."""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build():
    """Builds what is measured; the binary's path and that of the program that writes rows."""
    command = ["cargo", "build", "--release", "--bin", "destination-chartmogul", "--bench", "throughput"]
    lines = subprocess.run([*command, "--message-format", "json"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.splitlines()
    built = [message for message in map(json.loads, lines) if message.get("executable")]
    by_name = {message["target"]["name"]: message["executable"] for message in built}
    return by_name["destination-chartmogul"], by_name["throughput"]


@contextlib.contextmanager
def sandbox(binary, *options):
    """A sandbox on a free port; gives the configuration for it."""
    command = [binary, "sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield json.loads(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait()


def observed(config):
    """What the sandbox itself counted."""
    with urllib.request.urlopen(config["base_url"].removesuffix("/v1") + "/sandbox/observed") as answer:
        return json.load(answer)


def peak_rss(pid):
    """Peak resident memory in MB; none once the process is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None


def sync(binary, throughput, config, rows, keys):
    """Writes so many rows over so many keys; gives seconds, peak MB and the STATEs' counts."""
    catalog = json.loads(subprocess.run([throughput, "catalog"], check=True, stdout=subprocess.PIPE).stdout)
    source = subprocess.Popen([throughput, "write", str(rows), str(keys)], stdout=subprocess.PIPE)
    took, peak, messages = _write(binary, config, catalog, source.stdout)
    source.wait()
    assert loaded(messages) == (rows, 0), loaded(messages)
    return took, peak


def write(binary, config, catalog, lines):
    """Writes these lines, made as they are read; gives seconds, peak MB and the messages."""
    given, taken = os.pipe()

    def feed():
        # A process that has ended tells why itself.
        with contextlib.suppress(BrokenPipeError), open(taken, "w") as out:
            out.writelines(lines)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with open(given, "rb") as stdin:
        result = _write(binary, config, catalog, stdin)
    feeder.join()
    return result


def _write(binary, config, catalog, stdin):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        config_file, catalog_file = Path(folder) / "config.json", Path(folder) / "catalog.json"
        config_file.write_text(json.dumps(config))
        catalog_file.write_text(json.dumps(catalog))
        start = time.monotonic()
        command = [binary, "write", "--config", str(config_file), "--catalog", str(catalog_file)]
        process = subprocess.Popen(command, stdin=stdin, stdout=out)
        # Who writes the rows has to see that nobody reads them any more.
        stdin.close()
        peak = 0
        while process.poll() is None:
            peak = peak_rss(process.pid) or peak
            time.sleep(0.02)
        took = time.monotonic() - start
        out.seek(0)
        messages = [json.loads(line) for line in out]
    if process.returncode != 0:
        raise SystemExit(f"write ended with {process.returncode}: {messages[-1]}")
    return took, peak, messages


def loaded(messages):
    """How many records the STATEs that came back say were loaded and rejected."""
    stats = [message["state"]["destinationStats"] for message in messages if message["type"] == "STATE"]
    return sum(stat["recordCount"] for stat in stats), sum(stat["rejectedRecordCount"] for stat in stats)


def outcomes(messages, stream):
    """What the log says became of a stream's records: {"read": 3, "created": 3}."""
    start = f"stream {stream}: "
    logs = (message["log"]["message"] for message in messages if message["type"] == "LOG")
    words = next(log.removeprefix(start) for log in logs if log.startswith(start))
    return {what: int(count) for count, what in re.findall(r"(\d+) (\w+)(?=,|$)", words)}
