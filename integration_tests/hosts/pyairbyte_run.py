#!/usr/bin/env python3
"""A real orchestrator, PyAirbyte, drives the built destination against sandboxes of its own.

    pip install --no-deps -r requirements/pyairbyte.txt    (and faker.txt in an environment of its own)
    pyairbyte_run.py DESTINATION FAKER                 (executables: destination-chartmogul and source-faker)

Airbyte's Faker source sends its users, once straight through and once by way of PyAirbyte's cache, which changes the data on
its way; then a source of ours replays customers and contacts, good and bad. Whatever the destination claims is compared with
what the sandbox holds and saw. No network is used.
"""

import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
WORK = tempfile.TemporaryDirectory(prefix="pyairbyte-")
# PyAirbyte reads these when it is imported.
os.environ.update(
    AIRBYTE_LOGGING_ROOT=WORK.name,
    AIRBYTE_NO_UV="1",
    AIRBYTE_OFFLINE_MODE="1",
    AIRBYTE_PROJECT_DIR=WORK.name,
    DO_NOT_TRACK="1",
    NO_LIVE_PROGRESS="1",
    PYTHONWARNINGS="ignore",
)

import json  # noqa: E402

import airbyte  # noqa: E402

from checks import Checks, equal, sandbox  # noqa: E402

USERS = 120
NAME = "destination-chartmogul"
# Faker's users as customers. What is not named becomes a custom attribute.
FAKER_STREAMS = [
    {
        "stream": "users",
        "object": "customers",
        "fields": {
            "id": "external_id",
            "address.city": "city",
            "address.country_code": "country",
            "address.postal_code": "zip",
        },
        "exclude": ["address", "updated_at"],
        "types": {"height": "Decimal"},
    }
]


class Written:
    """What PyAirbyte makes of a write."""

    def __init__(self, result):
        tracker = result._progress_tracker  # noqa: SLF001 - there is no public way to the counts
        self.delivered = dict(tracker.destination_stream_records_delivered)
        self.confirmed = dict(tracker.destination_stream_records_confirmed)
        provider = result.get_state_provider()
        self.states = [json.loads(one.model_dump_json(exclude_none=True)) for one in provider.state_message_artifacts]


def destination(binary, config, **more):
    return airbyte.get_destination(NAME, config={**config, **more}, local_executable=binary)


def faker(executable):
    config = {"count": USERS, "seed": 7, "parallelism": 1, "always_updated": False}
    source = airbyte.get_source("source-faker", config=config, local_executable=executable)
    source.select_streams(["users"])
    return source


def replay(catalog, messages):
    """A source of our own that sends these messages."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=WORK.name))
    (folder / "catalog.json").write_text(json.dumps(catalog))
    (folder / "messages.jsonl").write_text("".join(json.dumps(one) + "\n" for one in messages))
    config = {"catalog": str(folder / "catalog.json"), "messages": str(folder / "messages.jsonl")}
    source = airbyte.get_source("source-replay", config=config, local_executable=HERE / "replay_source.py")
    source.select_all_streams()
    return source


def straight_through(target, source):
    return Written(target.write(source, cache=False, state_cache=False))


def through_the_cache(target, source):
    cache = airbyte.new_local_cache("hosts", cache_dir=tempfile.mkdtemp(dir=WORK.name), cleanup=False)
    return Written(target.write(source, cache=cache))


def writes(account):
    """Requests that changed something, or were meant to."""
    routes = account.observed()["by_route"]
    return {route: sum(ends.values()) for route, ends in routes.items() if not route.startswith("GET ") and "data_sources" not in route}


def customers(account):
    return {one["keys"][0]["external_id"]: one for one in account.state()["customers"]}


def kept_to_the_limits(account):
    seen = account.observed()
    equal((seen["given_429"], seen["given_503"]), (0, 0))
    assert seen["most_in_one_second"] <= 41 and seen["most_in_flight"] <= 20, seen


def stream(name, columns):
    properties = {column: {"type": ["null", kind]} for column, kind in columns.items()}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties}
    modes = {"sync_mode": "full_refresh", "destination_sync_mode": "append"}
    return {"stream": {"name": name, "json_schema": schema, "supported_sync_modes": ["full_refresh"]}, **modes}


def record(name, data):
    return {"type": "RECORD", "record": {"stream": name, "data": data, "emitted_at": 1767225600000}}


def state(name, position):
    # A key that nobody knows and a number beyond doubles: both have to come back as they were.
    blob = {"position": position, "beyond_doubles": 12345678901234567890123, "note": "größer"}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": blob}}}


def status(name, word):
    trace = {"stream_descriptor": {"name": name}, "status": word}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1767225600000, "stream_status": trace}}


OURS = {
    "streams": [
        stream("customers", {"external_id": "string", "name": "string", "country": "string", "seats": "integer", "tags": "array"}),
        stream("contacts", {"customer_external_id": "string", "external_id": "string", "first_name": "string", "email": "string"}),
    ]
}


def ours():
    """80 customers of which 2 are bad and one comes twice; 40 contacts, one of a customer who never comes. Contacts first."""
    yield status("contacts", "STARTED")
    for number in range(40):
        parent = f"c-{number}" if number != 13 else "c-nobody"
        yield record("contacts", {"customer_external_id": parent, "external_id": f"k-{number}", "first_name": f"Zoë {number}"})
    yield state("contacts", 40)
    yield status("contacts", "COMPLETE")
    yield status("customers", "STARTED")
    for number in range(80):
        country = {50: "Atlantis", 60: "DE"}.get(number, "US")
        key = {70: None}.get(number, f"c-{number}")
        row = {"external_id": key, "name": f"Łódź & 東京 {number}", "country": country, "seats": number, "tags": ["vip"]}
        yield record("customers", row)
        if number == 39:
            yield state("customers", 40)
    yield record("customers", {"external_id": "c-0", "name": "Renamed", "country": "FR", "seats": 7, "tags": ["beta"]})
    yield state("customers", 81)
    yield status("customers", "COMPLETE")


def main(binary, source_faker):
    checks = Checks()

    with sandbox(binary) as account:
        target = destination(binary, account.config, streams=FAKER_STREAMS)

        @checks.run
        def a_good_configuration_passes_spec_and_check():
            target.validate_config()
            target.check()
            equal(account.state()["customers"], [])

        @checks.run
        def a_bad_key_and_a_bad_data_source_are_told():
            for more, code in [({"api_key": "wrong"}, "API key"), ({"data_source_uuid": "ds_" + "0" * 8 + "-0000-0000-0000-" + "0" * 12}, "does not exist")]:
                try:
                    destination(binary, account.config, **more).check()
                except airbyte.exceptions.AirbyteConnectorCheckFailedError as error:
                    assert code in str(error) + str(vars(error)), str(vars(error))
                else:
                    raise AssertionError(f"check took {more}")

        @checks.run
        def fakers_users_arrive_straight_through():
            written = straight_through(target, faker(source_faker))
            equal(sum(written.confirmed.values()), USERS)
            assert written.states, "no state came back"
            rows = customers(account)
            equal(sorted(rows, key=int), [str(number) for number in range(1, USERS + 1)])
            equal(writes(account), {"POST /v1/customers": USERS})
            one = rows["1"]
            assert "@" in one["fields"]["email"] and all(one["fields"][name] for name in ("city", "country", "zip")), one

        before = account.state()

        @checks.run
        def the_same_users_by_way_of_the_cache_change_nothing():
            written = through_the_cache(target, faker(source_faker))
            equal(sum(written.confirmed.values()), USERS)
            # An update is sent whether it changes anything or not; nothing is made twice, and nothing ends up different.
            equal(writes(account)["POST /v1/customers"], USERS)
            equal(account.state(), before)

        @checks.run
        def the_first_two_syncs_kept_to_the_limits():
            kept_to_the_limits(account)

    with sandbox(binary) as account:
        target = destination(binary, account.config, streams=FAKER_STREAMS)

        @checks.run
        def an_empty_account_filled_from_the_cache_ends_as_one_filled_straight_through():
            written = through_the_cache(target, faker(source_faker))
            equal(sum(written.confirmed.values()), USERS)
            contents = lambda state: {one["keys"][0]["external_id"]: (one["fields"], one["custom"], one["tags"]) for one in state["customers"]}
            equal(contents(account.state()), contents(before))

    with sandbox(binary) as account:
        target = destination(binary, account.config)

        @checks.run
        def our_customers_and_contacts_arrive_and_the_bad_ones_are_counted():
            written = straight_through(target, replay(OURS, ours()))
            equal(sum(written.confirmed.values()), 79 + 39)
            rows = customers(account)
            equal(len(rows), 78)
            renamed = rows["c-0"]
            equal((renamed["fields"]["name"], sorted(renamed["tags"]), renamed["custom"]["seats"]), ("Renamed", ["beta", "vip"], 7))
            people = account.state()["contacts"]
            equal(len(people), 39)
            uuids = {row["uuid"]: key for key, row in rows.items()}
            assert all(uuids[one["customer_uuid"]].removeprefix("c-") == one["fields"]["external_id"].removeprefix("k-") for one in people)

        @checks.run
        def the_states_come_back_digit_for_digit():
            written = straight_through(target, replay(OURS, ours()))
            last = {one["stream"]["stream_descriptor"]["name"]: one["stream"]["stream_state"] for one in written.states}
            equal(last["contacts"], {"position": 40, "beyond_doubles": 12345678901234567890123, "note": "größer"})
            equal(last["customers"]["position"], 81)

        @checks.run
        def a_wrong_data_source_fails_the_write_and_changes_nothing():
            was = account.state()
            elsewhere = destination(binary, account.config, data_source_uuid="ds_" + "0" * 8 + "-0000-0000-0000-" + "0" * 12)
            try:
                straight_through(elsewhere, replay(OURS, ours()))
            except airbyte.exceptions.AirbyteConnectorWriteError:
                pass
            else:
                raise AssertionError("the write passed")
            equal(account.state(), was)

        @checks.run
        def the_limits_were_kept_again():
            kept_to_the_limits(account)

    return checks.done()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    # PyAirbyte takes a relative path for a name to look up.
    sys.exit(main(*(pathlib.Path(one).resolve() for one in sys.argv[1:])))
