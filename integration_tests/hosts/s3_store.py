#!/usr/bin/env python3
"""Rejected records and receipts in buckets of a real S3 server (moto): what is read back is what was kept, and no STATE
leaves when a bucket goes away.

    PYTHON s3_store.py DESTINATION          with the Python of an environment that has moto
"""

import collections
import csv
import gzip
import io
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

import boto3
from moto.server import ThreadedMotoServer

from checks import Checks, equal, sandbox

KEYS = {"access_key_id": "AKIDFORTHETESTS", "secret_access_key": "secret-for-the-tests"}
PATIENCE = 60


def record(stream, data, namespace=None):
    return {"type": "RECORD", "record": {"stream": stream, "namespace": namespace, "data": data, "emitted_at": 1700000000000}}


def state(stream, cursor):
    about = {"stream_descriptor": {"name": stream}, "stream_state": {"cursor": cursor}}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": about}}


def stream(name, namespace=None, **more):
    about = {"name": name, "namespace": namespace, "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    return {"stream": about, "sync_mode": "full_refresh", "destination_sync_mode": "append_dedup", **more}


def rows(count):
    """Half of the rows are good, half are not, with all that a CSV file has to quote."""
    for n in range(count):
        if n % 2:
            yield record("customers", {"name": f'Row {n}, "quoted"\nand more', "n": n}, "shop" if n % 4 == 3 else None)
        else:
            yield record("customers", {"external_id": f"c-{n}", "name": f"Customer {n}"})


class Sync:
    """A `write` that is fed line by line."""

    def __init__(self, binary, config, streams, **environment):
        self.folder = tempfile.TemporaryDirectory()
        paths = []
        for name, content in {"config": config, "catalog": {"streams": streams}}.items():
            paths.append(pathlib.Path(self.folder.name, name + ".json"))
            paths[-1].write_text(json.dumps(content))
        command = [binary, "write", "--config", paths[0], "--catalog", paths[1]]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**clean, **environment}
        )
        self.messages = []
        self.states = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            self.messages.append(message)
            if message["type"] == "STATE":
                self.states.put(message)

    def feed(self, messages):
        for message in messages:
            self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def wait_for_state(self):
        return self.states.get(timeout=PATIENCE)

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=PATIENCE)
        self.reader.join()
        self.folder.cleanup()
        text = json.dumps(self.messages)
        for secret in KEYS.values():
            assert secret not in text, "a secret is printed"
        return code

    def cursors(self):
        states = [message["state"] for message in self.messages if message["type"] == "STATE"]
        return [state["stream"]["stream_state"]["cursor"] for state in states]

    def error(self):
        (error,) = [message["trace"]["error"] for message in self.messages if message["type"] == "TRACE"]
        return error


def objects(s3, bucket, prefix=""):
    """Path to content of all that is in a bucket."""
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {entry["Key"]: s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in found}


def rejects(files):
    """The rows of files, whatever their format, as (columns, data)."""
    for path, body in files.items():
        if path.endswith(".gz"):
            path, body = path.removesuffix(".gz"), gzip.decompress(body)
        text = body.decode()
        if path.endswith(".csv"):
            for row in csv.DictReader(io.StringIO(text, newline="")):
                yield list(row), json.loads(row["_airbyte_data"])
        else:
            for line in text.splitlines():
                row = json.loads(line)
                yield list(row), row["_airbyte_data"]


def main(binary):
    checks = Checks()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=KEYS["secret_access_key"],
    )

    def place(bucket, **more):
        return {
            "storage_type": "S3",
            "s3_bucket_name": bucket,
            "s3_bucket_region": "us-east-1",
            "s3_endpoint": endpoint,
            "bucket_path": "some/path",
            **KEYS,
            **more,
        }

    def kept(account, bucket, receipts, more, **environment):
        """A whole sync of 400 rows with 8 STATEs; its end is held to what every such end has."""
        config = {**account.config, "object_storage_config": place(bucket, **more), "receipts": receipts}
        streams = [stream("customers", generation_id=3, minimum_generation_id=0, sync_id=77), stream("customers", "shop", sync_id=77)]
        if environment:
            streams = [stream("customers"), stream("customers", "shop")]
        sync = Sync(binary, config, streams, **environment)
        messages = list(rows(400))
        for n in range(8):
            sync.feed([*messages[n * 50 : n * 50 + 50], state("customers", n)])
        done = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": {"stream_descriptor": {"name": "customers"}, "status": "COMPLETE"}}
        sync.feed([{"type": "TRACE", "trace": done}])
        equal(sync.end(), 0)
        equal(sync.cursors(), list(range(8)))
        return messages

    with sandbox(binary, "--requests-per-second", "2000", "--connections", "20") as account:

        @checks.run
        def rejects_and_receipts_read_back_are_those_of_the_sync():
            for more, extension in [
                ({}, ".csv"),
                ({"format": {"format_type": "CSV", "flattening": "No flattening"}, "compression": {"compression_type": "GZIP"}}, ".csv.gz"),
                ({"format": {"format_type": "JSONL"}}, ".jsonl"),
            ]:
                bucket = "kept-" + extension.replace(".", "-").strip("-")
                s3.create_bucket(Bucket=bucket)
                messages = kept(account, bucket, place(bucket), more)
                files = objects(s3, bucket, "some/path/77/")
                equal(len(files), len(objects(s3, bucket)))
                told = {path: body for path, body in files.items() if "/receipts_" in path}
                files = {path: body for path, body in files.items() if path not in told}
                assert all(path.endswith(extension) for path in files), files.keys()
                folders = {path.rsplit("/", 1)[0] for path in files}
                equal(folders, {"some/path/77/customers", "some/path/77/shop/customers"})
                assert len(files) <= 16, f"{len(files)} files for 8 STATEs"
                # Every 51st line is a STATE.
                sent = {n + n // 50 + 1: message["record"]["data"] for n, message in enumerate(messages)}
                back = {}
                for columns, data in rejects(files):
                    equal(columns, ["_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id", "_airbyte_data"])
                    equal(data["error"]["code"], "FIELD_MISSING")
                    assert data["line"] not in back, "kept twice"
                    back[data["line"]] = data["record"]
                equal(back, {line: data for line, data in sent.items() if "external_id" not in data})
                receipts = [json.loads(line) for body in told.values() for line in body.decode().splitlines()]
                equal(sorted(receipt["line"] for receipt in receipts), sorted(sent))
                outcomes = collections.Counter(receipt["outcome"] for receipt in receipts)
                equal(outcomes["rejected"], 200)
                equal(sum(outcomes.values()), 400)

        @checks.run
        def the_folder_is_the_platforms_job_where_the_catalog_names_none():
            s3.create_bucket(Bucket="jobs")
            kept(account, "jobs", {"storage_type": "None"}, {"format": {"format_type": "JSONL"}}, WORKER_JOB_ID="55")
            assert all(path.startswith("some/path/55/") for path in objects(s3, "jobs"))

        @checks.run
        def a_bucket_that_goes_away_holds_its_states_and_says_so():
            s3.create_bucket(Bucket="vanishing")
            config = {**account.config, "object_storage_config": place("vanishing")}
            sync = Sync(binary, config, [stream("customers")])
            sync.feed([record("customers", {"name": "No Key"}), state("customers", 1)])
            sync.wait_for_state()
            for path in objects(s3, "vanishing"):
                s3.delete_object(Bucket="vanishing", Key=path)
            s3.delete_bucket(Bucket="vanishing")
            sync.feed([record("customers", {"name": "No Key"}), state("customers", 2)])
            equal(sync.end(), 1)
            equal(sync.cursors(), [1])
            error = sync.error()
            equal((error["failure_type"], error["internal_message"].split(":")[0]), ("config_error", "STORE_REFUSED"))
            assert "the bucket vanishing: it answered with HTTP 404 NoSuchBucket" in error["message"], error

        @checks.run
        def check_needs_the_bucket_and_leaves_nothing_in_it():
            s3.create_bucket(Bucket="looked-at")
            for bucket, status in [("looked-at", "SUCCEEDED"), ("absent", "FAILED")]:
                with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                    json.dump({**account.config, "object_storage_config": place(bucket), "receipts": place(bucket)}, file)
                    file.flush()
                    done = subprocess.run([binary, "check", "--config", file.name], capture_output=True, text=True, check=True)
                (answer,) = [json.loads(line) for line in done.stdout.splitlines() if "CONNECTION_STATUS" in line]
                equal(answer["connectionStatus"]["status"], status)
                if status == "FAILED":
                    equal(answer["connectionStatus"]["message"].count("NoSuchBucket"), 2)
            equal(objects(s3, "looked-at"), {})

        @checks.run
        def a_role_is_taken_on_with_the_keys_that_may():
            s3.create_bucket(Bucket="of-a-role")
            role = "arn:aws:iam::123456789012:role/writer"
            config = {**account.config, "object_storage_config": place("of-a-role", role_arn=role)}
            sync = Sync(binary, config, [stream("customers")], AWS_ENDPOINT_URL_STS=endpoint, AWS_ASSUME_ROLE_EXTERNAL_ID="x")
            sync.feed([record("customers", {"name": "No Key"}), state("customers", 1)])
            equal(sync.end(), 0)
            equal(len(objects(s3, "of-a-role")), 1)
            # A token service that is none: the keys are not used as they are.
            sync = Sync(binary, config, [stream("customers")], AWS_ENDPOINT_URL_STS=account.address)
            sync.feed([record("customers", {"name": "No Key"}), state("customers", 1)])
            equal((sync.end(), sync.cursors()), (1, []))
            equal(len(objects(s3, "of-a-role")), 1)

    server.stop()
    return checks.done()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
