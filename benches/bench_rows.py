"""Rows of customers with ten custom attributes of all types, as the scripts here write them."""

import json

ATTRIBUTES = {
    "tier": ("String", lambda n: ("starter", "team", "business", "enterprise")[n % 4]),
    "channel": ("String", lambda n: ("ads", "organic", "referral")[n % 3]),
    "account_manager": ("String", lambda n: f"Manager {n % 40}"),
    "seats": ("Integer", lambda n: 1 + n % 500),
    "logins": ("Integer", lambda n: n % 9_000),
    "score": ("Decimal", lambda n: n % 100 + 0.5),
    "discount": ("Decimal", lambda n: n % 40 + 0.25),
    "is_partner": ("Boolean", lambda n: n % 7 == 0),
    "newsletter": ("Boolean", lambda n: n % 2 == 0),
    "renews_at": ("Timestamp", lambda n: f"2026-{1 + n % 12:02}-{1 + n % 28:02}T08:00:00Z"),
}
SCHEMAS = {
    "String": {"type": "string"},
    "Integer": {"type": "integer"},
    "Decimal": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "Timestamp": {"type": "string", "format": "date-time"},
}
# A STATE follows after this many rows.
STATE_EVERY = 10_000


def fields(n, changed=False):
    """ChartMogul's own fields of a customer."""
    name = f"Renamed {n}" if changed else f"Customer {n}"
    country = ("US", "DE", "FR", "GB")[n % 4]
    return {"external_id": f"cus_{n:09}", "name": name, "email": f"person.{n}@example.com", "country": country}


def attributes(n, changed=False):
    """Its ten attributes: name to type and value."""
    values = {name: (kind, value(n)) for name, (kind, value) in ATTRIBUTES.items()}
    return values | {"logins": ("Integer", 1_000_000 + n)} if changed else values


def row(n, changed=False):
    """Both as a warehouse row."""
    return fields(n, changed) | {name: value for name, (_, value) in attributes(n, changed).items()}


def record(stream, data):
    return json.dumps({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}}) + "\n"


def state(stream, cursor):
    descriptor = {"stream_descriptor": {"name": stream}, "stream_state": {"cursor": cursor}}
    return json.dumps({"type": "STATE", "state": {"type": "STREAM", "stream": descriptor}}) + "\n"


def lines(stream, rows):
    """The lines of a stream, with its STATEs."""
    count = 0
    for count, data in enumerate(rows, 1):
        yield record(stream, data)
        if count % STATE_EVERY == 0:
            yield state(stream, count)
    yield state(stream, count)


def stream(name, mode="append_dedup", properties=None):
    """A stream of the catalog."""
    schema = {"type": "object", "properties": properties or {}}
    about = {"name": name, "json_schema": schema, "supported_sync_modes": ["full_refresh"]}
    return {"stream": about, "sync_mode": "full_refresh", "destination_sync_mode": mode}


def catalog():
    """The catalog of these customers."""
    own = {name: {"type": "string"} for name in fields(0)}
    typed = {name: SCHEMAS[kind] for name, (kind, _) in ATTRIBUTES.items()}
    return {"streams": [stream("customers", properties=own | typed)]}
