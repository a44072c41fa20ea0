"""A destination on Airbyte's Python CDK that does the least one can do: it reads each message, counts records and gives
STATEs back with their counts. The yardstick for `compare_cdk.py`. Needs `pip install airbyte-cdk`."""

import sys
from collections import Counter

from airbyte_cdk.destinations import Destination
from airbyte_cdk.models import AirbyteConnectionStatus, AirbyteStateStats, ConnectorSpecification, Status, Type


class Count(Destination):
    def spec(self, *args):
        schema = {"type": "object", "properties": {}, "additionalProperties": True}
        return ConnectorSpecification(connectionSpecification=schema)

    def check(self, logger, config):
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def write(self, config, configured_catalog, input_messages):
        since = Counter()
        records = 0
        for message in input_messages:
            if message.type == Type.RECORD:
                since[message.record.namespace, message.record.stream] += 1
                records += 1
            elif message.type == Type.STATE:
                stream = message.state.stream.stream_descriptor
                loaded = since.pop((stream.namespace, stream.name), 0)
                message.state.destinationStats = AirbyteStateStats(recordCount=float(loaded))
                yield message
        print(f"{records} records", file=sys.stderr)


if __name__ == "__main__":
    Count().run(sys.argv[1:])
