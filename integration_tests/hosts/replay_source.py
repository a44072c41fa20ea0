#!/usr/bin/env python3
"""An Airbyte source that prints a file of messages, so that a real orchestrator sends rows of our own making.

Its config names two files: {"catalog": "configured_catalog.json", "messages": "messages.jsonl"}. Standard library only.
"""

import json
import sys


def say(message):
    print(json.dumps(message, separators=(",", ":")), flush=True)


def given(option):
    """The JSON file named by an option."""
    with open(sys.argv[sys.argv.index(option) + 1], encoding="utf-8") as file:
        return json.load(file)


def spec():
    properties = {"catalog": {"type": "string"}, "messages": {"type": "string"}}
    schema = {"type": "object", "title": "Replay", "required": list(properties), "properties": properties}
    say({"type": "SPEC", "spec": {"connectionSpecification": schema}})


def check():
    say({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}})


def discover():
    with open(given("--config")["catalog"], encoding="utf-8") as file:
        say({"type": "CATALOG", "catalog": {"streams": [one["stream"] for one in json.load(file)["streams"]]}})


def read():
    with open(given("--config")["messages"], "rb") as file:
        for line in file:
            sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    {"spec": spec, "check": check, "discover": discover, "read": read}[sys.argv[1]]()
