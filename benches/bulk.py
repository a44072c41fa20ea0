#!/usr/bin/env python3
"""Requests of a first run by bulk import: many new customers, each with two invoices and an event.

    benches/bulk.py [--customers 100000] [--latency 20ms] [--only stream] [--singly]

Written twice, each time into an empty sandbox with ChartMogul's limits: with the rows of one customer next to each other, and
stream after stream. Asserted: every row is created, nothing is rejected, the account holds all of it, and the sandbox counted at
most 1,000 requests, polls included. Memory is the peak resident of the sync. The sandbox processes 1,000 records a second, so that
100,000 customers take half an hour and more each time, of which `--only` runs one; how fast ChartMogul does is not known. Ends with 2
where the connector has no `bulk_import`. `--singly` sends the same rows without it, a request each, with limits far above ChartMogul's and without a bound:
to try the rows.
"""

import argparse
import base64
import datetime
import json
import subprocess
import sys
import urllib.request

import bench_rows
from bench_sandbox import build, loaded, observed, outcomes, sandbox, write

MOST = 1_000
# Streams, and how many rows of each a customer has; of plans there is one for all.
EXPECTED = {"plans": 0, "customers": 1, "invoices": 2, "subscription_events": 1}
CATALOG = {"streams": [bench_rows.stream(name) for name in EXPECTED]}
PLAN = {"external_id": "gold", "name": "Gold", "interval_count": 1, "interval_unit": "month"}
START = datetime.date(2026, 1, 1)


def customer(n):
    return {"external_id": f"cus_{n}", "name": f"Customer {n}", "email": f"person.{n}@example.com", "country": "US"}


def invoice(n, month):
    day, end = (str(START.replace(month=1 + at)) for at in (month, month + 1))
    key = f"inv_{n}_{month}"
    item = {
        "type": "subscription",
        "external_id": f"{key}_item",
        "subscription_external_id": f"sub_{n}",
        "plan_external_id": PLAN["external_id"],
        "service_period_start": day,
        "service_period_end": end,
        "amount_in_cents": 9_900,
        "quantity": 1,
    }
    payment = {"type": "payment", "external_id": f"{key}_payment", "date": day, "result": "successful"}
    return {
        "external_id": key,
        "customer_external_id": f"cus_{n}",
        "date": day,
        "currency": "USD",
        "line_items": [item],
        "transactions": [payment],
    }


def event(n):
    return {
        "external_id": f"event_{n}",
        "customer_external_id": f"cus_{n}",
        "event_type": "subscription_cancelled",
        "event_date": "2026-02-15",
        "effective_date": "2026-03-01",
        "subscription_external_id": f"sub_{n}",
    }


def by_customer(count):
    """The rows of one customer, then those of the next."""
    yield from bench_rows.lines("plans", [PLAN])
    for n in range(count):
        yield bench_rows.record("customers", customer(n))
        yield bench_rows.record("invoices", invoice(n, 0))
        yield bench_rows.record("invoices", invoice(n, 1))
        yield bench_rows.record("subscription_events", event(n))
        if (n + 1) % bench_rows.STATE_EVERY == 0 or n + 1 == count:
            for stream in ("customers", "invoices", "subscription_events"):
                yield bench_rows.state(stream, n)


def by_stream(count):
    """One stream after the other."""
    yield from bench_rows.lines("plans", [PLAN])
    yield from bench_rows.lines("customers", map(customer, range(count)))
    yield from bench_rows.lines("invoices", (invoice(n, month) for n in range(count) for month in range(2)))
    yield from bench_rows.lines("subscription_events", map(event, range(count)))


def held(config, path):
    """How many valid entries of a list the sandbox's account holds: as many as there are pages of one."""
    request = urllib.request.Request(f"{config['base_url']}/{path}?per_page=1")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{config['api_key']}:".encode()).decode())
    with urllib.request.urlopen(request) as answer:
        body = json.load(answer)
    return (body if "total_pages" in body else body["meta"])["total_pages"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--latency", default="20ms")
    parser.add_argument("--only", choices=["customer", "stream"], help="one order of the rows alone")
    parser.add_argument("--singly", action="store_true")
    args = parser.parse_args()
    binary, _ = build()
    spec = json.loads(subprocess.run([binary, "spec"], check=True, stdout=subprocess.PIPE).stdout)
    if not args.singly and "bulk_import" not in spec["spec"]["connectionSpecification"]["properties"]:
        print("this connector has no bulk_import", file=sys.stderr)
        sys.exit(2)
    how = {} if args.singly else {"bulk_import": "auto"}
    options = ("--requests-per-second", "10000", "--connections", "64") if args.singly else ("--latency", args.latency)
    count = args.customers
    print(f"{'rows':22}{'customers':>10}{'invoices':>10}{'events':>8}{'requests':>10}{'imports':>9}{'polls':>7}{'seconds':>9}{'peak MB':>9}", flush=True)
    orders = {"customer": ("customer by customer", by_customer), "stream": ("stream after stream", by_stream)}
    for name, lines in [orders[args.only]] if args.only else orders.values():
        with sandbox(binary, *options) as (config, _):
            seconds, peak, messages = write(binary, config | how, CATALOG, lines(count))
            seen = observed(config)
            there = {stream: held(config, stream) for stream in EXPECTED}
        for stream, each in EXPECTED.items():
            became, created = outcomes(messages, stream), each * count or 1
            assert became == {"read": created, "created": created}, (stream, became)
            assert there[stream] == created, (stream, there)
        assert loaded(messages) == (4 * count + 1, 0), loaded(messages)
        routes = {route: sum(ends.values()) for route, ends in seen["by_route"].items() if "json_imports" in route}
        imports, polls = (sum(many for route, many in routes.items() if route.startswith(method)) for method in ("POST", "GET"))
        print(
            f"{name:22}{count:10}{2 * count:10}{count:8}{seen['requests']:10}{imports:9}{polls:7}{seconds:9.1f}{peak:9.1f}",
            flush=True,
        )
        if not args.singly:
            assert seen["requests"] <= MOST, f"more than {MOST} requests: {seen['by_route']}"


if __name__ == "__main__":
    main()
