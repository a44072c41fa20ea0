#!/usr/bin/env python3
"""Requests and time for the same customers, with ten custom attributes each, row by row and by this connector.

    benches/side_by_side.py [--customers 10000] [--latency 100ms]

Row by row is what a connector without knowledge of the account does: for each row it looks the customer up by data source
and external id, then sends POST or PATCH with all fields. It is written here in Python, with kept-alive connections, and paced
like this connector (98% of the limit). Both have the same sandbox, at ten times ChartMogul's limits (400 requests a second, 200 at
once), so that it does not take an hour; the last column says how long that many requests take at ChartMogul's 40 a second. The
requests are those that the sandbox counted. They are asserted: two for each row, against one for each new or changed row and
one for each 200 customers that exist, plus 3. So is that both leave the same account. The sync by bulk import is of the same
customers without their attributes, which an import does not take; its time is that of the sandbox, which processes 1,000 records
a second: how fast ChartMogul does is not known. It is left out where the connector has no `bulk_import`.
"""

import argparse
import base64
import http.client
import json
import queue
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import bench_rows
from bench_sandbox import build, observed, outcomes, sandbox, write

RATE, CONNECTIONS = 400, 200
PAGE = 200


class Pace:
    """When requests may leave: evenly, at 98% of the limit."""

    def __init__(self):
        self.lock = threading.Lock()
        self.next = time.monotonic()

    def wait(self):
        with self.lock:
            now = time.monotonic()
            at = self.next = max(self.next, now)
            self.next += 1 / (RATE * 0.98)
        time.sleep(max(0, at - now))


class RowByRow:
    """The other way to do it."""

    def __init__(self, config):
        self.url = urllib.parse.urlsplit(config["base_url"])
        self.source = config["data_source_uuid"]
        self.headers = {
            "Authorization": "Basic " + base64.b64encode(f"{config['api_key']}:".encode()).decode(),
            "Content-Type": "application/json",
        }
        self.pace = Pace()

    def sync(self, numbers):
        """Writes these customers; each is a number and whether it has changed."""
        waiting = queue.SimpleQueue()
        for number in numbers:
            waiting.put(number)
        failures = []

        def work():
            connection = http.client.HTTPConnection(self.url.hostname, self.url.port)
            try:
                while not failures:
                    self.write(connection, *waiting.get_nowait())
            except queue.Empty:
                pass
            except Exception as failure:
                failures.append(failure)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def write(self, connection, n, changed):
        body = bench_rows.fields(n, changed)
        found = self.ask(
            connection, "GET", "/customers?" + urllib.parse.urlencode({"data_source_uuid": self.source, "external_id": body["external_id"]})
        )
        custom = [{"type": kind, "key": key, "value": value} for key, (kind, value) in bench_rows.attributes(n, changed).items()]
        body["attributes"] = {"custom": custom}
        if found["entries"]:
            del body["external_id"]
            self.ask(connection, "PATCH", f"/customers/{found['entries'][0]['uuid']}", body)
        else:
            self.ask(connection, "POST", "/customers", body | {"data_source_uuid": self.source})

    def ask(self, connection, method, path, body=None):
        while True:
            self.pace.wait()
            connection.request(method, self.url.path + path, None if body is None else json.dumps(body).encode(), self.headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 429:
                time.sleep(float(answer.getheader("Retry-After") or 1))
                continue
            assert answer.status < 300, (method, path, answer.status, text)
            return json.loads(text)


def counted(config, work):
    """What some work took: requests that were not throttled, writes among them, seconds."""

    def counts():
        routes = observed(config)["by_route"].items()
        return sum(sum(count for how, count in ends.items() if how != "429") for _, ends in routes), sum(
            sum(count for how, count in ends.items() if how != "429") for route, ends in routes if not route.startswith("GET")
        )

    before, start = counts(), time.monotonic()
    work()
    took, after = time.monotonic() - start, counts()
    return after[0] - before[0], after[1] - before[1], took


def contents(config):
    """All customers of the sandbox's account, but for what differs between two runs."""
    with urllib.request.urlopen(config["base_url"].removesuffix("/v1") + "/sandbox/state") as answer:
        customers = json.load(answer)["customers"]
    return sorted((one["keys"][0]["external_id"], json.dumps([one["fields"], one["custom"]], sort_keys=True)) for one in customers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--latency", default="100ms")
    args = parser.parse_args()
    binary, _ = build()
    count = args.customers
    few, pages = count // 20, -(-count // PAGE)
    options = ("--latency", args.latency, "--requests-per-second", str(RATE), "--connections", str(CONNECTIONS))
    new = [(n, False) for n in range(count)]
    some = [(n, n % 20 == 0 and n // 20 < few) for n in range(count)]
    runs = [
        ("first run, nobody there", new, {"created": count}, count + 3),
        ("a run in which 5% changed", some, {"updated": few, "unchanged": count - few}, pages + few + 3),
        ("a run in which nothing changed", some, {"unchanged": count}, pages + 3),
    ]
    print(f"{'':46}{'requests':>10}{'writes':>9}{'seconds':>9}{'minutes at 40/s':>17}", flush=True)

    def show(who, what, taken, waits=False):
        requests, writes, seconds = taken
        minutes = "-" if waits else f"{requests / 40 / 60:.2f}"
        print(f"{who:12}{what:34}{requests:10}{writes:9}{seconds:9.1f}{minutes:>17}", flush=True)

    accounts = {"row by row": [], "connector": []}
    with sandbox(binary, *options) as (config, _):
        other = RowByRow(config)
        for name, numbers, _, _ in runs:
            taken = counted(config, lambda: other.sync(numbers))
            assert taken[:2] == (2 * count, count), taken
            accounts["row by row"].append(contents(config))
            show("row by row", name, taken)
    with sandbox(binary, *options) as (config, _):
        for name, numbers, became, most in runs:
            said = []
            lines = bench_rows.lines("customers", (bench_rows.row(*number) for number in numbers))
            taken = counted(config, lambda: said.extend(write(binary, config, bench_rows.catalog(), lines)[2]))
            assert outcomes(said, "customers") == {"read": count} | became, outcomes(said, "customers")
            changes = became.get("created", 0) + became.get("updated", 0)
            assert taken[0] <= most and taken[1] == changes, (taken, most, changes)
            accounts["connector"].append(contents(config))
            show("connector", name, taken)
    assert accounts["row by row"] == accounts["connector"], "the accounts differ"

    spec = json.loads(subprocess.run([binary, "spec"], check=True, stdout=subprocess.PIPE).stdout)
    if "bulk_import" not in spec["spec"]["connectionSpecification"]["properties"]:
        return
    with sandbox(binary, *options) as (config, _):
        said = []
        lines = bench_rows.lines("customers", (bench_rows.fields(n) for n in range(count)))
        bulk = config | {"bulk_import": "auto"}
        taken = counted(config, lambda: said.extend(write(binary, bulk, bench_rows.catalog(), lines)[2]))
        assert outcomes(said, "customers") == {"read": count, "created": count}, outcomes(said, "customers")
        assert taken[0] <= count // 20, taken
        show("connector", "first run, by bulk, no attributes", taken, waits=True)


if __name__ == "__main__":
    main()
