"""docs/config.schema.json is what editors check a config.yaml with; it must be up to date."""

import json
from pathlib import Path

from ganvas.training.config import RunConfig

SCHEMA = Path(__file__).parents[1] / "docs" / "config.schema.json"


def test_schema_is_that_of_the_code() -> None:
    """To mend: python -m tests.test_schema."""
    assert json.loads(SCHEMA.read_text()) == RunConfig.model_json_schema()


def test_every_setting_is_described_or_named_by_its_type() -> None:
    for name, section in RunConfig.model_json_schema()["$defs"].items():
        for field, value in section["properties"].items():
            known = "description" in value or "const" in value or "$ref" in value
            assert known or "default" in value, f"{name}.{field} has no description"


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(RunConfig.model_json_schema(), indent=1) + "\n")
