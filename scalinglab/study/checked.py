"""A table of a study.toml against the record of what may be written there; what is wrong is said in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from scalinglab.samples.document import Table, Way
from scalinglab.study.written import MOST, Written

_T = TypeVar("_T", bound=Written)
Schema = Mapping[str, Any]


def checked(record: type[_T], table: Table) -> _T:
    """The table as its record has it.

    Raises DataError in three parts for the first key that is missing, unknown or has a wrong value: they name the
    file, the line, the key, and in words what the JSON Schema of the record allows.
    """
    try:
        return record.model_validate(table.values)
    except ValidationError as error:
        kinds = {_way(one["loc"], one["type"], table.values): one["type"] for one in error.errors()}
        first = next(iter(kinds))[0]
        way = max((way for way in kinds if way[0] == first), key=len)  # the alternative that came furthest
        _refuse(record, table, way, unknown=kinds[way] == "extra_forbidden")
        raise


def _refuse(record: type[Written], table: Table, way: Way, *, unknown: bool) -> None:
    """Raises DataError for what a way leads to."""
    schema = record.model_json_schema()
    around, key = next(_at(schema, schema, way[:-1])), str(way[-1])
    for name in way[:-1]:
        table = table.table(str(name))
    if unknown:
        table.close(also=tuple(around["properties"]))
    table.take(key, lambda _: False, in_words(around["properties"][key], schema))


def _way(place: Way, kind: str, values: Any) -> Way:
    """The keys of a place that pydantic gives, without its names of alternatives; up to a list."""
    way: Way = ()
    for key in place:
        if not isinstance(values, dict):
            break
        if key in values:
            way, values = (*way, key), values[key]
    return (*way, place[-1]) if kind == "missing" else way


def _at(node: Schema, schema: Schema, way: Way) -> Iterator[Schema]:
    """The tables to which a way leads, each with its properties."""
    for one in _alternatives(node, schema):
        if way and way[0] in one.get("properties", ()):
            yield from _at(one["properties"][way[0]], schema, way[1:])
        elif not way and "properties" in one:
            yield one


def in_words(node: Schema, schema: Schema) -> str:
    """What a JSON Schema allows, as an error says it. schema: the whole, which holds what ``node`` refers to."""
    if "$comment" in node:
        return str(node["$comment"])
    each = (_one(one, schema) for one in _alternatives(node, schema) if one.get("type") != "null")
    return " or ".join(dict.fromkeys(each))


def _one(node: Schema, schema: Schema) -> str:
    if "$comment" in node:
        return str(node["$comment"])
    if "enum" in node or "const" in node:
        return f"one of {', '.join(node.get('enum') or [node['const']])}"
    if node.get("type") == "array":
        each = in_words(node["items"], schema)
        return f"a list of {each.replace('a text', 'texts').replace('a whole number', 'whole numbers')}"
    most = node.get("maximum", MOST)
    limit = f" >= {node['minimum']}" if "minimum" in node else ""
    limit += f", at most {most:,}" if most < MOST else ""
    words = {"string": "a text", "boolean": "true or false", "integer": "a whole number", "number": "a number"}
    return words.get(str(node.get("type")), "a table") + limit


def _alternatives(node: Schema, schema: Schema) -> Iterator[Schema]:
    if "$ref" in node:
        node = schema["$defs"][str(node["$ref"]).rpartition("/")[2]]
    if "anyOf" not in node:
        yield node
        return
    for one in node["anyOf"]:
        yield from _alternatives(one, schema)
