#!/usr/bin/env python3
"""metadata.yaml against Airbyte's own schema, and against the files of this checkout that say the same things.

    pip install --no-deps -r requirements/metadata.txt
    validate_metadata.py [CHECKOUT]

The schema comes from Airbyte's package airbyte-connector-models: once as its pydantic model, once as the JSON Schema beside it.
The schema does not know that a version stands in three files; that is looked at here.
"""

import inspect
import json
import pathlib
import re
import sys
import tomllib
import uuid
import xml.etree.ElementTree as ElementTree

import jsonschema
import yaml
from airbyte_connector_models.metadata import v0
from airbyte_connector_models.metadata.v0.connector_metadata_definition_v0 import ConnectorMetadataDefinitionV0

from checks import Checks, equal

HERE = pathlib.Path(__file__).resolve().parent


def main(root):
    checks = Checks()
    metadata = yaml.safe_load((root / "metadata.yaml").read_text())
    data = metadata["data"]
    package = tomllib.loads((root / "Cargo.toml").read_text())["package"]
    dockerfile = (root / "Dockerfile").read_text()
    spec = json.loads((root / "spec" / "spec.json").read_text())

    def in_dockerfile(pattern):
        found = re.findall(pattern, dockerfile, re.MULTILINE)
        assert len(found) == 1, f"{pattern} stands {len(found)} times in the Dockerfile"
        return found[0]

    @checks.run
    def the_model_takes_it():
        ConnectorMetadataDefinitionV0.model_validate(metadata)

    @checks.run
    def the_json_schema_takes_it():
        # Its part for `generated` uses a type that JSON Schema does not have, so the schema itself is not checked.
        path = pathlib.Path(inspect.getfile(v0)).parent / "ConnectorMetadataDefinitionV0.json"
        validator = jsonschema.Draft7Validator(json.loads(path.read_text()), format_checker=jsonschema.FormatChecker())
        # YAML knows dates, JSON does not.
        problems = list(validator.iter_errors(json.loads(json.dumps(metadata, default=str))))
        assert not problems, "; ".join(f"{'/'.join(map(str, one.absolute_path))}: {one.message}" for one in problems)

    @checks.run
    def the_schema_would_refuse_a_key_it_does_not_know():
        path = pathlib.Path(inspect.getfile(v0)).parent / "ConnectorMetadataDefinitionV0.json"
        validator = jsonschema.Draft7Validator(json.loads(path.read_text()))
        wrong = json.loads(json.dumps(metadata, default=str))
        wrong["data"]["unheard_of"] = True
        assert list(validator.iter_errors(wrong))

    @checks.run
    def the_definition_id_is_a_uuid():
        equal(str(uuid.UUID(data["definitionId"])), data["definitionId"])

    @checks.run
    def one_version_everywhere():
        equal(data["dockerImageTag"], package["version"])
        equal(in_dockerfile(r'io\.airbyte\.version="([^"]*)"'), package["version"])

    @checks.run
    def the_page_and_the_changelog_have_the_version():
        assert re.search(rf"^\| {re.escape(package['version'])} ", (root / "docs" / "destination-chartmogul.md").read_text(), re.MULTILINE)
        assert f"## [{package['version']}]" in (root / "CHANGELOG.md").read_text()

    @checks.run
    def one_name_everywhere():
        equal(data["githubIssueLabel"], package["name"])
        equal(data["dockerRepository"].rsplit("/", 1)[-1], package["name"])
        equal(in_dockerfile(r'io\.airbyte\.name="([^"]*)"'), data["dockerRepository"])

    @checks.run
    def one_licence_and_it_is_there():
        equal(data["license"], package["license"])
        assert (root / "LICENSE").read_text().startswith("MIT License")

    @checks.run
    def the_platform_starts_what_the_image_starts():
        entry = json.loads(in_dockerfile(r"^ENTRYPOINT (\[.*\])$"))
        equal(in_dockerfile(r'^ENV AIRBYTE_ENTRYPOINT="([^"]*)"$'), " ".join(entry))

    @checks.run
    def the_toolchain_of_the_image_is_the_one_that_is_promised():
        equal(in_dockerfile(r"^FROM rust:([0-9.]+)-"), package["rust-version"])

    @checks.run
    def the_allowed_host_is_the_default_one():
        base_url = spec["connectionSpecification"]["properties"]["base_url"]["default"]
        equal([f"https://{host}/v1" for host in data["allowedHosts"]["hosts"]], [base_url])

    @checks.run
    def the_documentation_is_where_spec_says():
        equal(data["documentationUrl"], spec["documentationUrl"])

    @checks.run
    def the_icon_is_square():
        box = ElementTree.parse(root / data["icon"]).getroot().attrib["viewBox"].split()
        equal(box[2], box[3])

    return checks.done()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else HERE.parent.parent))
