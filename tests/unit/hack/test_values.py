"""What the comments of values.yaml say, as a schema and as a table."""

from __future__ import annotations

import pytest

from hack.generators.chart import chart_readme, crd_template
from hack.generators.values import json_schema, read_values, table

VALUES = """
# -- The image.
image:
  # -- Its digest, which
  # wins over the tag.
  # @schema {pattern: '^x'}
  digest: ""
# -- How many.
# @schema {minimum: 1}
replicas: 2
# -- Labels.
# @schema {additionalProperties: {type: string}}
labels: {a: b}
# -- Things.
things: [1]
# -- On or off.
enabled: true
"""


def test_the_schema_has_what_defaults_and_comments_tell() -> None:
    properties = json_schema(read_values(VALUES))["properties"]
    assert properties["image"] == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "digest": {
                "type": "string",
                "pattern": "^x",
                "description": "Its digest, which wins over the tag.",
            }
        },
        "description": "The image.",
    }
    assert properties["replicas"] == {"type": "integer", "minimum": 1, "description": "How many."}
    assert properties["labels"]["additionalProperties"] == {"type": "string"}
    assert properties["things"]["type"] == "array"


def test_an_unknown_value_is_refused_except_what_helm_adds_itself() -> None:
    schema = json_schema(read_values(VALUES))
    assert schema["additionalProperties"] is False
    assert schema["properties"]["global"]["type"] == "object"


def test_the_table_has_a_row_for_each_value_that_can_be_set() -> None:
    rows = table(read_values(VALUES)).splitlines()
    assert rows[2:5] == [
        '| `image.digest` | `""` | Its digest, which wins over the tag. |',
        "| `replicas` | `2` | How many. |",
        '| `labels` | `{"a": "b"}` | Labels. |',
    ]


def test_a_value_without_a_description_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"image\.tag is not described"):
        read_values("# -- The image.\nimage:\n  tag: x\n")


def test_a_default_that_tells_no_type_needs_one() -> None:
    with pytest.raises(ValueError, match="say it with @schema"):
        read_values("# -- Something.\nthing: null\n")


def test_settings_are_the_operators() -> None:
    (settings,) = read_values("# @settings\n# -- Settings.\nsettings: {}\n")
    by_name = {part.name: part for part in settings.parts}
    assert by_name["pollInterval"].default == "300s"
    assert by_name["pollInterval"].schema["type"] == "string"
    assert by_name["workers"].schema["maximum"] == 200
    assert "platform.md" not in by_name["platformUrl"].text
    assert "watchNamespaces" not in by_name


def test_a_kind_becomes_a_template_that_renders_to_itself() -> None:
    template = crd_template("kind: X\nmetadata:\n  name: x\nspec:\n  name: '{{ y }}'\n")
    assert template.startswith("{{- if .Values.crds.enabled }}\nkind: X\nmetadata:\n  name: x\n  labels:\n")
    assert template.endswith("""spec:\n  name: '{{ "{{" }} y }}'\n{{- end }}\n""")


def test_the_page_needs_a_place_for_the_table() -> None:
    page = "a\n<!-- values -->\nold\n<!-- end of values -->\nb\n"
    assert "`replicas`" in chart_readme(page, VALUES)
    assert "old" not in chart_readme(page, VALUES)
    with pytest.raises(ValueError, match="no place"):
        chart_readme("a\n", VALUES)
