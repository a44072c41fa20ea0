#!/usr/bin/env python3
"""Makes the bundled sync of `demo`: sync.jsonl and catalog.json beside this file. Same output every time.

A made-up company, Lumen Desk, keeps accounts and people in a warehouse. The rows are as an Airbyte warehouse source sends
them: two streams side by side, people now and then before their account, accounts that come again with changes, a STATE every
few hundred rows, COMPLETE at the end, and some rows that nobody could write.
"""
import json
import pathlib
import random

R = random.Random(20260101)
HERE = pathlib.Path(__file__).parent
ACCOUNTS, UPDATES = 1200, 420
FIRST = "Ada Alan Amara Ben Carla Chidi Dana Elif Emeka Farah Goran Hana Ines Ivan Jonas Kaya Lena Liam Mei Nadia Noor Olga Omar Priya Rosa Sami Tove Uma Viktor Yuki Zoe Søren Zoë José Łukasz".split()
LAST = "Abel Berg Castillo Dietrich Eze Fischer Garcia Hansen Ito Jensen Kaya Lindqvist Moreau Nakamura Okafor Petrov Quist Rossi Silva Tanaka Ueda Varga Weber Xu Yilmaz Zhang".split()
A = "Amber Bright Cedar Delta Ember Fjord Granite Harbor Indigo Juniper Kite Lumen Maple North Orbit Pine Quartz River Silver Tidal Umbra Violet Willow Zephyr".split()
B = "Analytics Bikes Books Clinics Coffee Dental Design Fitness Foods Freight Games Hotels Labs Legal Logistics Media Motors Music Optics Parks Robotics Schools Solar Studios Tea Tools Travel".split()
PLACES = [("US", "US-NY", "New York", "10001"), ("US", "US-CA", "San Francisco", "94103"), ("US", "US-TX", "Austin", "73301"), ("DE", None, "Berlin", "10115"),
          ("FR", None, "Paris", "75001"), ("GB", None, "London", "EC1A 1BB"), ("JP", None, "東京", "100-0001"), ("BR", None, "São Paulo", "01000-000"),
          ("NG", None, "Lagos", "101241"), ("SE", None, "Malmö", "211 20"), ("PL", None, "Łódź", "90-001"), ("MX", None, "México", "06000")]
CHANNELS = ["organic", "ads", "referral", "partner", "event"]
TITLES = ["CEO", "CTO", "CFO", "Head of Finance", "Office Manager", "Developer", "Accountant"]
T0 = 1767225600000  # 2026-01-01


def stamp(days, seconds):
    import datetime
    return (datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=days, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def account(n):
    country, state, city, postal = R.choice(PLACES)
    name = f"{R.choice(A)} {R.choice(B)}"
    row = {"account_id": 10000 + n, "account_name": name, "billing_email": f"billing+{10000 + n}@{name.lower().replace(' ', '-')}.example",
           "address": {"country": country, "state": state, "city": city, "postal_code": postal},
           "signed_up_at": stamp(R.randint(0, 700), R.randint(0, 86399)), "seats": R.randint(1, 400), "health_score": R.randint(0, 1000) / 10,
           "is_partner": R.random() < 0.15, "channel": R.choice(CHANNELS), "website": f"https://{name.lower().replace(' ', '-')}.example",
           "labels": R.sample(["vip", "beta", "annual", "self-serve", "partner"], R.randint(0, 2)), "internal_row_hash": f"{R.getrandbits(64):016x}"}
    if R.random() < 0.3:
        row["trial_started_on"] = stamp(R.randint(0, 700), 0)[:10]
    return row


def person(n, account_id):
    first, last = R.choice(FIRST), R.choice(LAST)
    return {"person_id": f"p-{n}", "account_id": account_id, "first_name": first, "last_name": last, "work_email": f"person{n}@people.example",
            "job_title": R.choice(TITLES), "phone": f"+1 555 {n:05d}" if R.random() < 0.5 else None, "internal_row_hash": f"{R.getrandbits(64):016x}"}


# Rows that can not be written, each for another reason.
BAD_ACCOUNTS = [
    lambda row: {**row, "billing_email": "call the office"},
    lambda row: {**row, "address": {**row["address"], "country": "Atlantis"}},
    lambda row: {**row, "account_id": None},
    lambda row: {**row, "signed_up_at": "yesterday"},
    lambda row: {**row, "seats": "about 20"},
    lambda row: {**row, "features": {"sso": True, "api": ["v1", "v2"]}},
    lambda row: {**row, "billing_email": "a@b@c", "address": {**row["address"], "country": "UK"}, "signed_up_at": "2026-02-30"},
    lambda row: {**row, "notes from sales": "likes tea"},
    lambda row: {**row, "channel": "x" * 300},
]
BAD_PEOPLE = [
    lambda row: {**row, "work_email": "n/a"},
    lambda row: {**row, "account_id": None},
    lambda row: {**row, "account_id": 99999},
]


def main():
    accounts = [account(n) for n in range(ACCOUNTS)]
    rows, number = [], 0
    for at, row in enumerate(accounts):
        people = [person(number + k, row["account_id"]) for k in range(R.choice([0, 1, 1, 1, 2, 3]))]
        number += len(people)
        mine = [("accounts", row)] + [("people", p) for p in people]
        if R.random() < 0.08:  # people before their account
            mine.reverse()
        rows.append(mine)
        if at % 130 == 60:
            rows.append([("accounts", BAD_ACCOUNTS[at // 130 % len(BAD_ACCOUNTS)](account(ACCOUNTS + at)))])
        if at % 380 == 200:
            rows.append([("people", BAD_PEOPLE[at // 380 % len(BAD_PEOPLE)](person(90000 + at, row["account_id"])))])
    for _ in range(UPDATES):  # accounts that changed since
        row = R.choice(accounts)
        changed = {**row, "seats": row["seats"] + R.randint(1, 20), "health_score": R.randint(0, 1000) / 10, "is_partner": not row["is_partner"]}
        rows.insert(R.randint(len(rows) // 2, len(rows)), [("accounts", changed)])
    flat = [row for group in rows for row in group]

    out, since, count, ident = [], {"accounts": 0, "people": 0}, {"accounts": 0, "people": 0}, 0
    dump = lambda message: out.append(json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def state(stream):
        nonlocal ident
        ident += 1
        dump({"type": "STATE", "state": {"type": "STREAM", "id": ident, "sourceStats": {"recordCount": float(since[stream])}, "stream": {
            "stream_descriptor": {"name": stream}, "stream_state": {"cursor": count[stream]}}}})
        since[stream] = 0

    for at, (stream, row) in enumerate(flat):
        dump({"type": "RECORD", "record": {"stream": stream, "emitted_at": T0 + at * 7, "data": {k: v for k, v in row.items() if v is not None or k == "account_id"}}})
        since[stream] += 1
        count[stream] += 1
        if since[stream] == 250:
            state(stream)
    for stream in since:
        state(stream)
    for stream in since:
        dump({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": T0 + len(flat) * 7, "stream_status": {
            "stream_descriptor": {"name": stream}, "status": "COMPLETE"}}})
    (HERE / "sync.jsonl").write_text("\n".join(out) + "\n", encoding="utf-8")

    text, number_, integer, boolean = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "boolean"}
    schema = {
        "accounts": {"account_id": integer, "account_name": text, "billing_email": text, "address": {"type": "object"}, "signed_up_at": {
            "type": "string", "format": "date-time"}, "trial_started_on": {"type": "string", "format": "date"}, "seats": integer, "health_score": number_,
            "is_partner": boolean, "channel": text, "website": text, "labels": {"type": "array", "items": text}, "internal_row_hash": text},
        "people": {"person_id": text, "account_id": integer, "first_name": text, "last_name": text, "work_email": text, "job_title": text,
                   "phone": text, "internal_row_hash": text},
    }
    key = {"accounts": "account_id", "people": "person_id"}
    streams = [{"stream": {"name": name, "json_schema": {"type": "object", "properties": properties}, "supported_sync_modes": ["full_refresh", "incremental"]},
                "sync_mode": "incremental", "destination_sync_mode": "append_dedup", "cursor_field": [key[name]], "primary_key": [[key[name]]],
                "generation_id": 1, "minimum_generation_id": 0, "sync_id": 1} for name, properties in schema.items()]
    (HERE / "catalog.json").write_text(json.dumps({"streams": streams}, indent=1) + "\n", encoding="utf-8")


main()
