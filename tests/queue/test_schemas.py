"""Which files are taken for the JSON Schema of an answer, and what is said of the others."""

from __future__ import annotations

import pytest

from planner_app.domain.errors import BadInput
from planner_app.queue.schemas import check_schema

DRAFT_4 = '"$schema": "http://json-schema.org/draft-04/schema#"'


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "{}",
        '{"type": "object", "properties": {"$ref": {"type": "string"}}}',
        '{"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/a"}}}}}',
        '{"properties": {"child": {"$ref": "#"}}}',
        '{"$id": "https://example.org/x", "$ref": "#/$defs/a", "$defs": {"a": {}}}',
        '{"$ref": "#node", "$defs": {"a": {"$anchor": "node"}}}',
        '{"properties": {"a/b": {}}, "items": {"$ref": "#/properties/a~1b"}}',
        '{"prefixItems": [{}, {"$ref": "#/prefixItems/0"}]}',
        "{" + DRAFT_4 + ', "minimum": 1, "exclusiveMinimum": true}',
        '{"$schema": "https://json-schema.org/draft/2020-12/schema", "exclusiveMinimum": 1}',
    ],
)
def test_these_are_taken(text: str) -> None:
    check_schema("s.json", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("{'type': 'object'}", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("3", "is not a JSON object"),
        ("false", "allows no answer at all"),
        ('{"minimum": NaN}', "NaN is no JSON number"),
        ('{"type": "object", "type": "array"}', "the key 'type' twice"),
        ('{"type": "objekt"}', "at type: 'objekt'"),
        ('{"properties": {"a": {"required": "b"}}}', "at properties.a.required"),
        ('{"pattern": "(["}', "at pattern"),
        ("{" + DRAFT_4 + ', "exclusiveMinimum": 3}', "is no JSON Schema"),
        ('{"$schema": "https://example.org/mine"}', "unknown $schema 'https://example.org/mine'"),
        ('{"$ref": "https://example.org/x.json"}', "refers to https://example.org/x.json"),
        ('{"items": {"$dynamicRef": "other.json#x"}}', "refers to other.json#x"),
        ('{"$ref": "#/$defs/nowhere"}', "refers to #/$defs/nowhere, which is not in it"),
        ('{"$ref": "#nowhere"}', "which is not in it"),
        ('{"$defs": {"a": {"$ref": "#/$defs/a"}}}', "back to itself only"),
        ('{"$ref": "#"}', "back to itself only"),
        ('{"$defs": {"a": {"$id": "b"}}}', "names a part of it by $id"),
        ('{"not":' * 200 + "{}" + "}" * 200, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=lambda text: text[:40],
)
def test_what_cannot_be_used_is_one_line_with_the_place(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_schema("s.json", text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("the schema s.json ")
    assert "\n" not in str(caught.value)
