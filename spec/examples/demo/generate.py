#!/usr/bin/env python3
"""Makes the bundled sync of `demo`: sync.jsonl and catalog.json beside this file. Same output every time; with --check nothing
is written, and it fails when what stands there is something else.

A made-up company, Lumen Desk, sells a help desk and keeps what it knows of its customers in a warehouse. The rows are as an
Airbyte warehouse source sends them: many streams side by side under the warehouse's own names, children now and then before
their parents, rows that come again, changed or not, a STATE every few hundred rows, COMPLETE at the end, and some rows that
nobody could write. config.json, which is written by hand, says what the streams become.
"""
import datetime
import json
import pathlib
import random
import sys

R = random.Random(20260101)
HERE = pathlib.Path(__file__).parent
ACCOUNTS, CHANGED, UNCHANGED, STATE_EVERY = 460, 90, 40, 250
DAY0 = datetime.date(2024, 1, 1)
EMITTED = 1767225600000  # 2026-01-01

FIRST = "Ada Alan Amara Ben Carla Chidi Dana Elif Emeka Farah Goran Hana Ines Ivan Jonas Kaya Lena Liam Mei Nadia Noor Olga Omar Priya Rosa Sami Tove Uma Viktor Yuki Zoe Søren Zoë José Łukasz".split()
LAST = "Abel Berg Castillo Dietrich Eze Fischer Garcia Hansen Ito Jensen Kaya Lindqvist Moreau Nakamura Okafor Petrov Quist Rossi Silva Tanaka Ueda Varga Weber Xu Yilmaz Zhang".split()
A = "Amber Bright Cedar Delta Ember Fjord Granite Harbor Indigo Juniper Kite Linden Maple North Orbit Pine Quartz River Silver Tidal Umbra Violet Willow Zephyr".split()
B = "Analytics Bikes Books Clinics Coffee Dental Design Fitness Foods Freight Games Hotels Labs Legal Logistics Media Motors Music Optics Parks Robotics Schools Solar Studios Tea Tools Travel".split()
# Country, state, city, postal code, the currency that is billed in, tax in per cent.
PLACES = [("US", "US-NY", "New York", "10001", "USD", 0), ("US", "US-CA", "San Francisco", "94103", "USD", 0), ("US", "US-TX", "Austin", "73301", "USD", 0),
          ("DE", None, "Berlin", "10115", "EUR", 19), ("FR", None, "Paris", "75001", "EUR", 20), ("GB", None, "London", "EC1A 1BB", "GBP", 20),
          ("JP", None, "東京", "100-0001", "USD", 0), ("BR", None, "São Paulo", "01000-000", "BRL", 0), ("NG", None, "Lagos", "101241", "USD", 0),
          ("SE", None, "Malmö", "211 20", "SEK", 25), ("PL", None, "Łódź", "90-001", "PLN", 23), ("MX", None, "México", "06000", "USD", 0)]
RATES = {"USD": 1, "EUR": 1, "GBP": 1, "BRL": 5, "SEK": 11, "PLN": 4}
# Key, name, months, price of a seat in cents before the factor of the currency.
PLANS = [("solo-monthly", "Solo, monthly", 1, 1900), ("solo-yearly", "Solo, yearly", 12, 19000), ("team-monthly", "Team, monthly", 1, 2900),
         ("team-yearly", "Team, yearly", 12, 29000), ("business-monthly", "Business, monthly", 1, 5900), ("business-yearly", "Business, yearly", 12, 59000),
         ("chat-monthly", "Live chat, monthly", 1, 900)]
PRICE = {key: (months, cents) for key, _, months, cents in PLANS}
LATE_PLAN = "chat-monthly"
GROUPS = [("Solo", ["solo-monthly", "solo-yearly"]), ("Team", ["team-monthly", "team-yearly"]), ("Business", ["business-monthly", "business-yearly"]),
          ("Add-ons", ["chat-monthly"])]
CHANNELS = ["organic", "ads", "referral", "partner", "event"]
TITLES = ["CEO", "CTO", "CFO", "Head of Finance", "Head of Support", "Office Manager", "Accountant"]
# The sandbox's users and pipelines, see `Options::default` in src/sandbox/mod.rs.
USERS = ["owner@example.com", "second.owner@example.com"]
PIPELINES = {"New Business": ["Discovery", "Evaluation", "Closing"], "Expansion": ["Discovery", "Offer"]}
NOTES = ["Asked for an invoice in two languages.", "Wants to move to yearly billing in spring.", "Their support team grows; more seats likely.",
         "Unhappy with the outage in March, credit promised.", "Compares us with two others, price is not the point.", "New head of support, call again in a month."]
TODOS = ["Call about the yearly plan", "Send the security questionnaire", "Check why the payment failed", "Offer the live chat", "Ask for a case study"]


def day(offset):
    return (DAY0 + datetime.timedelta(days=offset)).isoformat()


def moment(offset, seconds=0):
    start = datetime.datetime.combine(DAY0, datetime.time(), datetime.timezone.utc)
    return (start + datetime.timedelta(days=offset, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def account(n):
    """An account, where it is, and the day on which it signed up."""
    signed_up = R.randint(0, 450)
    country, state, city, postal, currency, _ = place = R.choice(PLACES)
    name = f"{R.choice(A)} {R.choice(B)}"
    site = name.lower().replace(" ", "-") + ".example"
    row = {"account_id": 10000 + n, "account_name": name, "billing_email": f"billing+{10000 + n}@{site}",
           "address": {"country": country, "state": state, "city": city, "postal_code": postal},
           "signed_up_at": moment(signed_up, R.randint(0, 86399)), "seats": R.randint(1, 60), "health_score": R.randint(0, 1000) / 10,
           "is_partner": R.random() < 0.15, "channel": R.choice(CHANNELS), "website": f"https://{site}",
           "labels": R.sample(["vip", "beta", "annual", "self-serve", "partner"], R.randint(0, 2)), "internal_row_hash": f"{R.getrandbits(64):016x}"}
    return row, place, signed_up


def person(n, account_id):
    return {"person_id": f"p-{n}", "account_id": account_id, "first_name": R.choice(FIRST), "last_name": R.choice(LAST), "work_email": f"person{n}@people.example",
            "job_title": R.choice(TITLES), "phone": f"+1 555 {n:05d}" if R.random() < 0.5 else None, "internal_row_hash": f"{R.getrandbits(64):016x}"}


def seats_line(key, subscription, plan, seats, start, place):
    """A line item for the seats of a subscription over one interval of its plan."""
    months, cents = PRICE[plan]
    net = cents * seats * RATES[place[4]]
    line = {"external_id": key, "type": "subscription", "subscription_external_id": subscription, "plan_external_id": plan, "quantity": seats,
            "service_period_start": day(start), "service_period_end": day(start + (365 if months == 12 else 30))}
    if R.random() < 0.12:
        off = net // 10
        line |= {"discount_code": "SPRING10", "discount_amount_in_cents": off}
        net -= off
    tax = net * place[5] // 100
    if tax:
        line["tax_amount_in_cents"] = tax
    return line | {"amount_in_cents": net + tax}


def payments(number, at, total):
    """What was paid on an invoice, and the status that the billing system shows: most are paid at once."""
    pay = lambda n, kind, days, result="successful", amount=None: {
        "external_id": f"{number}-t{n}", "type": kind, "date": moment(at + days, 36000), "result": result} | ({"amount_in_cents": amount} if amount else {})
    roll = R.random()
    if total <= 0:
        return [], "paid"
    if roll < 0.05:
        return [], "open"
    if roll < 0.11:  # a part of it
        return [pay(1, "payment", 3, amount=total // 2)], "open"
    if roll < 0.16:  # in two parts
        return [pay(1, "payment", 3, amount=total // 2), pay(2, "payment", 20, amount=total - total // 2)], "paid"
    if roll < 0.22:  # the card failed at first
        return [pay(1, "payment", 0, "failed"), pay(2, "payment", 4)], "paid"
    if roll < 0.27:  # some of it was given back
        return [pay(1, "payment", 1, amount=total), pay(2, "refund", 9, amount=total // 4)], "paid"
    return [pay(1, "payment", 1)], "paid"


def billed(account_id, row, place, at):
    """A customer of the billing system: invoices with all they hold, perhaps a cancellation, perhaps a change of plan."""
    plan = R.choice([key for key, *_ in PLANS if key != LATE_PLAN])
    seats = row["seats"] if plan.startswith(("team", "business")) else 1
    step, subscription, out = 365 if plan.endswith("yearly") else 30, f"sub-{account_id}", []
    chat = R.random() < 0.15
    header = lambda number, start: {"invoice_number": number, "account_id": account_id, "issued_on": day(start), "due_on": day(start + 14), "currency": place[4]}
    if R.random() < 0.2:  # two weeks for nothing, then the first bill
        row["trial_started_on"] = day(at)
        number = f"INV-{account_id}-0"
        trial = {"external_id": f"{number}-l1", "type": "trial", "subscription_external_id": subscription, "plan_external_id": plan, "amount_in_cents": 0,
                 "service_period_start": day(at), "service_period_end": day(at + 14)}
        out.append(("invoices", header(number, at) | {"status": "paid", "line_items": [trial], "transactions": []}))
        at += 14
    count = 1 if step == 365 else R.choice([1, 2, 2, 3])
    for n in range(1, count + 1):
        number, start = f"INV-{account_id}-{n}", at + (n - 1) * step
        lines = [seats_line(f"{number}-l1", subscription, plan, seats, start, place)]
        if chat:
            lines.append(seats_line(f"{number}-l2", f"{subscription}-chat", LATE_PLAN, seats, start, place))
        if n == 1 and R.random() < 0.15:
            lines.append({"external_id": f"{number}-l8", "type": "one_time", "description": "Onboarding", "amount_in_cents": 25000 * RATES[place[4]], "quantity": 1})
        if R.random() < 0.05:
            lines.append({"external_id": f"{number}-l9", "type": "one_time", "description": "Credit for the outage in March", "amount_in_cents": -lines[0]["amount_in_cents"] // 10})
        paid, status = payments(number, start, sum(line["amount_in_cents"] for line in lines))
        if R.random() < 0.03:
            paid, status = [], "voided"
        out.append(("invoices", header(number, start) | {"status": status, "line_items": lines, "transactions": paid}))
    end = at + count * step
    if R.random() < 0.12:
        out.append(("cancellations", {"account_id": account_id, "subscription_key": subscription, "ends_on": day(end)}))
    elif count > 1 and R.random() < 0.1:  # another plan from here on, which is one subscription still
        number = f"INV-{account_id}-{count + 1}"
        line = seats_line(f"{number}-l1", f"{subscription}-b", "business-yearly", seats, end, place)
        paid, status = payments(number, end, line["amount_in_cents"])
        out.append(("invoices", header(number, end) | {"status": status, "line_items": [line], "transactions": paid}))
        out.append(("cancellations", {"account_id": account_id, "subscription_key": subscription, "ends_on": day(end)}))
        out.append(("plan_switches", {"account_id": account_id, "subscription_keys": [subscription, f"{subscription}-b"]}))
    return out


def from_ledger(account_id, row, place, at):
    """An old customer, whose invoices stand in three tables of the books."""
    number = f"L-{account_id}"
    lines = [seats_line(f"{number}-l1", f"sub-{account_id}", "solo-yearly", 1, at, place)]
    if R.random() < 0.5:
        lines.append({"external_id": f"{number}-l2", "type": "one_time", "description": "Data import", "amount_in_cents": 9900 * RATES[place[4]]})
    names = {"external_id": "line_key", "type": "kind", "amount_in_cents": "cents", "subscription_external_id": "subscription_key", "plan_external_id": "plan_key"}
    rows = [("ledger_invoices", {"invoice_number": number, "account_id": account_id, "issued_on": day(at), "currency": place[4]})]
    rows += [("ledger_lines", {"invoice_number": number} | {names.get(name, name): value for name, value in line.items()}) for line in lines]
    if R.random() < 0.8:
        rows.append(("ledger_payments", {"invoice_number": number, "payment_key": f"{number}-t1", "kind": "payment", "paid_at": moment(at + 5), "result": "successful"}))
    if R.random() < 0.5:
        R.shuffle(rows)
    return rows


def by_contract(account_id, row, place, at):
    """A customer with a contract, of which only events are kept."""
    plan, key = R.choice(["team-yearly", "business-yearly"]), f"con-{account_id}"
    event = lambda n, kind, days, seats: {"event_id": f"{key}-{n}", "account_id": account_id, "what": kind, "decided_on": day(at + days), "holds_from": day(at + days + 1),
                                          "contract_key": key} | ({"plan_key": plan, "currency": place[4], "cents": PRICE[plan][1] * seats * RATES[place[4]], "seats": seats} if seats else {})
    seats = row["seats"]
    rows = [event(1, "started", 0, seats)]
    if R.random() < 0.5:
        rows.append(event(2, "changed", 120, seats + R.randint(1, 15)))
    if R.random() < 0.2:
        rows.append(event(3, "ended", 300, 0))
    return [("contract_events", row) for row in rows]


def crm(account_id, at):
    """What sales and support wrote down."""
    out = []
    for _ in range(R.choice([0, 0, 0, 1, 1, 2])):
        kind = R.choice(["note", "note", "call"])
        note = {"account_id": account_id, "kind": kind, "body": R.choice(NOTES), "written_by": R.choice(USERS), "written_at": moment(at + R.randint(0, 200), R.randint(0, 86399))}
        out.append(("crm_notes", note | ({"seconds": R.randint(60, 1800)} if kind == "call" else {})))
    if R.random() < 0.2:
        pipeline = R.choice(list(PIPELINES))
        stages = PIPELINES[pipeline]
        deal = {"account_id": account_id, "deal_id": f"d-{account_id}", "rep": R.choice(USERS), "pipeline": pipeline, "stage": stages[0], "closes_on": day(at + R.randint(30, 250)),
                "currency": R.choice(["USD", "EUR"]), "cents": R.randint(5, 400) * 10000, "kind": R.choice(["recurring", "one-time"]), "likelihood": R.choice([10, 20, 40])}
        out.append(("deals", deal))
        if R.random() < 0.3:
            out.append(("deals", deal | {"stage": stages[-1], "likelihood": 80}))
    if R.random() < 0.2:
        todo = {"account_id": account_id, "what": R.choice(TODOS), "who": R.choice(USERS), "due_at": moment(at + R.randint(10, 90), 43200)}
        out.append(("todos", todo | ({"done_at": moment(at + 60)} if R.random() < 0.4 else {})))
    return out


def product(account_id):
    """What the product knows: one row for each trait, and words that are put on accounts and taken off again."""
    traits = [("nps", R.randint(-100, 100)), ("integration", R.choice(["Shopify", "Jira", "Slack"])), ("sso", R.random() < 0.3)]
    out = [("account_traits", {"account_id": account_id, "trait": name, "value": value}) for name, value in R.sample(traits, R.choice([0, 0, 0, 1, 2]))]
    if R.random() < 0.2:
        out.append(("account_labels", {"account_id": account_id, "label": R.choice(["power-user", "at-risk", "reference"]), "off": False}))
        if R.random() < 0.2:
            out.append(("account_labels", out[-1][1] | {"off": True}))
    return out


def unwritable(accounts, voided):
    """Rows that can not be written, each for another reason."""
    fresh = lambda n: account(90000 + n)[0]
    known = accounts[7]["account_id"]
    address = fresh(0)["address"]
    line = lambda key, **more: seats_line(key, f"{key}-sub", "team-monthly", 1, 10, PLACES[0]) | {"amount_in_cents": 10000} | more
    invoice = lambda number, lines, **more: ("invoices", {"invoice_number": number, "account_id": known, "issued_on": day(10), "currency": "USD", "status": "open", "line_items": lines} | more)
    part = lambda n: {"external_id": f"INV-BAD-1-t{n}", "type": "payment", "date": moment(12), "result": "successful", "amount_in_cents": 6000}
    deal = {"account_id": known, "deal_id": "d-bad", "rep": USERS[0], "stage": "Discovery", "closes_on": day(400), "currency": "USD", "cents": 100000}
    return [
        ("accounts", fresh(1) | {"billing_email": "a@b@c", "address": address | {"country": "UK"}, "signed_up_at": "2026-02-30"}),
        ("accounts", fresh(2) | {"account_id": None}),
        ("accounts", fresh(3) | {"seats": "about 20"}),
        ("accounts", fresh(4) | {"features": {"sso": True, "api": ["v1", "v2"]}}),
        ("accounts", fresh(5) | {"notes from sales": "likes tea"}),
        ("people", person(90000, 99999)),
        ("account_traits", {"account_id": known, "trait": "integration", "value": "x" * 300}),
        invoice("INV-BAD-1", [line("INV-BAD-1-l1")], transactions=[part(1), part(2)]),
        invoice("INV-BAD-2", [line("INV-BAD-2-l1", plan_external_id="platinum-monthly")]),
        invoice("INV-BAD-3", [line("INV-BAD-3-l1")], currency="EURO"),
        ("invoices", voided | {"status": "paid"}),
        ("ledger_invoices", {"invoice_number": "L-BAD", "account_id": known, "issued_on": day(10), "currency": "USD"}),
        ("contract_events", {"event_id": "con-bad-1", "account_id": known, "what": "paused", "decided_on": day(10), "holds_from": day(10), "contract_key": "con-bad"}),
        ("cancellations", {"account_id": known, "subscription_key": "sub-nobody", "ends_on": day(300)}),
        ("deals", deal | {"pipeline": "Renewals"}),
        ("todos", {"account_id": known, "what": "Call back", "who": "left.us@example.com", "due_at": moment(500)}),
    ]


def rows():
    """All rows, in the order in which they are sent: lists of what is sent together."""
    plans = {key: ("plans", {"plan_key": key, "title": name, "months": months}) for key, name, months, _ in PLANS}
    groups = [[plans[key] for key in plans if key != LATE_PLAN], [("plan_families", {"family": name, "plan_keys": keys}) for name, keys in GROUPS]]
    accounts, people, last = [], 0, []
    for n in range(ACCOUNTS):
        row, place, signed_up = account(n)
        key, at = row["account_id"], signed_up + R.randint(0, 40)
        accounts.append(row)
        kind = R.choices([billed, from_ledger, by_contract, None], [62, 12, 13, 13])[0]
        money = kind(key, row, place, at) if kind else []
        known = [("people", person(people + k, key)) for k in range(R.choice([0, 1, 1, 1, 2]))]
        people += len(known)
        mine = [("accounts", row), *known, *money, *product(key), *crm(key, at)]
        if R.random() < 0.08:  # children before their parent
            mine = mine[1:] + mine[:1]
        groups.append(mine)
        if n % 60 == 30:  # signed up twice: the second one goes into the first in the end
            twin = account(n + 50000)[0] | {name: row[name] for name in ("account_name", "website", "address")}
            groups.append([("accounts", twin)])
            last.append([("duplicates", {"duplicate_id": twin["account_id"], "account_id": key})])
    for at in range(CHANGED + UNCHANGED):
        row = R.choice(accounts)
        if at < CHANGED:
            row = row | {"seats": row["seats"] + R.randint(1, 20), "health_score": R.randint(0, 1000) / 10}
        groups.insert(R.randint(len(groups) * 3 // 4, len(groups)), [("accounts", row)])
    groups.insert(len(groups) // 3, [plans[LATE_PLAN]])
    voided = next(row for group in groups for name, row in group if name == "invoices" and row["status"] == "voided")
    bad = unwritable(accounts, voided)
    for n, row in enumerate(bad):
        groups.insert(len(groups) * (n + 4) // (len(bad) + 5), [row])
    return [row for group in groups + last for row in group]


TEXT, NUMBER, INTEGER, BOOLEAN, OBJECT, LIST = ({"type": kind} for kind in ["string", "number", "integer", "boolean", "object", "array"])
DATE, TIME = {"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}
# Stream: its key, and its columns.
STREAMS = {
    "plans": (["plan_key"], {"plan_key": TEXT, "title": TEXT, "months": INTEGER}),
    "plan_families": (["family"], {"family": TEXT, "plan_keys": LIST}),
    "accounts": (["account_id"], {"account_id": INTEGER, "account_name": TEXT, "billing_email": TEXT, "address": OBJECT, "signed_up_at": TIME, "trial_started_on": DATE,
                                  "seats": INTEGER, "health_score": NUMBER, "is_partner": BOOLEAN, "channel": TEXT, "website": TEXT, "labels": LIST, "internal_row_hash": TEXT}),
    "people": (["person_id"], {"person_id": TEXT, "account_id": INTEGER, "first_name": TEXT, "last_name": TEXT, "work_email": TEXT, "job_title": TEXT, "phone": TEXT,
                               "internal_row_hash": TEXT}),
    "account_traits": (["account_id", "trait"], {"account_id": INTEGER, "trait": TEXT, "value": {}}),
    "account_labels": (["account_id", "label"], {"account_id": INTEGER, "label": TEXT, "off": BOOLEAN}),
    "invoices": (["invoice_number"], {"invoice_number": TEXT, "account_id": INTEGER, "issued_on": DATE, "due_on": DATE, "currency": TEXT, "status": TEXT, "line_items": LIST,
                                      "transactions": LIST}),
    "ledger_invoices": (["invoice_number"], {"invoice_number": TEXT, "account_id": INTEGER, "issued_on": DATE, "currency": TEXT}),
    "ledger_lines": (["line_key"], {"line_key": TEXT, "invoice_number": TEXT, "kind": TEXT, "cents": INTEGER, "tax_amount_in_cents": INTEGER, "discount_code": TEXT,
                                    "discount_amount_in_cents": INTEGER, "quantity": INTEGER, "description": TEXT, "subscription_key": TEXT, "plan_key": TEXT,
                                    "service_period_start": DATE, "service_period_end": DATE}),
    "ledger_payments": (["payment_key"], {"payment_key": TEXT, "invoice_number": TEXT, "kind": TEXT, "paid_at": TIME, "result": TEXT}),
    "contract_events": (["event_id"], {"event_id": TEXT, "account_id": INTEGER, "what": TEXT, "decided_on": DATE, "holds_from": DATE, "contract_key": TEXT, "plan_key": TEXT,
                                       "currency": TEXT, "cents": INTEGER, "seats": INTEGER}),
    "cancellations": (["subscription_key"], {"account_id": INTEGER, "subscription_key": TEXT, "ends_on": DATE}),
    "plan_switches": (["account_id"], {"account_id": INTEGER, "subscription_keys": LIST}),
    "crm_notes": (["account_id", "written_at"], {"account_id": INTEGER, "kind": TEXT, "body": TEXT, "written_by": TEXT, "written_at": TIME, "seconds": INTEGER}),
    "deals": (["deal_id"], {"account_id": INTEGER, "deal_id": TEXT, "rep": TEXT, "pipeline": TEXT, "stage": TEXT, "closes_on": DATE, "currency": TEXT, "cents": INTEGER,
                            "kind": TEXT, "likelihood": INTEGER}),
    "todos": (["account_id", "what"], {"account_id": INTEGER, "what": TEXT, "who": TEXT, "due_at": TIME, "done_at": TIME}),
    "duplicates": (["duplicate_id"], {"duplicate_id": INTEGER, "account_id": INTEGER}),
}


def main():
    out, since, count, ident = [], dict.fromkeys(STREAMS, 0), dict.fromkeys(STREAMS, 0), 0
    dump = lambda message: out.append(json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    def state(stream):
        nonlocal ident
        ident += 1
        dump({"type": "STATE", "state": {"type": "STREAM", "id": ident, "sourceStats": {"recordCount": float(since[stream])}, "stream": {
            "stream_descriptor": {"name": stream}, "stream_state": {"cursor": count[stream]}}}})
        since[stream] = 0

    flat = rows()
    for at, (stream, row) in enumerate(flat):
        dump({"type": "RECORD", "record": {"stream": stream, "emitted_at": EMITTED + at * 7, "data": {k: v for k, v in row.items() if v is not None or k == "account_id"}}})
        since[stream] += 1
        count[stream] += 1
        if since[stream] == STATE_EVERY:
            state(stream)
    for stream in STREAMS:
        state(stream)
    for stream in STREAMS:
        dump({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": EMITTED + len(flat) * 7, "stream_status": {
            "stream_descriptor": {"name": stream}, "status": "COMPLETE"}}})
    streams = [{"stream": {"name": name, "json_schema": {"type": "object", "properties": columns}, "supported_sync_modes": ["full_refresh", "incremental"]},
                "sync_mode": "incremental", "destination_sync_mode": "append_dedup", "cursor_field": key[:1], "primary_key": [[part] for part in key],
                "generation_id": 1, "minimum_generation_id": 0, "sync_id": 1} for name, (key, columns) in STREAMS.items()]
    # A line for each stream.
    lines = ",\n  ".join(json.dumps(stream) for stream in streams)
    made = {"sync.jsonl": "\n".join(out) + "\n", "catalog.json": '{\n "streams": [\n  ' + lines + "\n ]\n}\n"}
    for name, text in made.items():
        if sys.argv[1:] != ["--check"]:
            (HERE / name).write_text(text, encoding="utf-8")
        elif (HERE / name).read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is not what generate.py makes")


main()
