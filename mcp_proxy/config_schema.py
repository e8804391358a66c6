"""The JSON Schema of a `switchboard.toml`: what an editor completes, explains and underlines by."""

import ast
import inspect
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from mcp_proxy.settings import Settings

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The draft editors agree on; nothing here needs a newer one."""

_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "Given by an environment variable: ${NAME}.",
}


def config_schema() -> dict[str, Any]:
    """The schema of the file: of `Settings` as they are written, before defaults and variables are filled in.

    It cannot tell what depends on other tables (prefixes that meet) or on the environment (variables not set).
    """
    schema = Settings.model_json_schema(schema_generator=_OfTheFile)
    upstreams = schema["properties"]["upstreams"]
    # The validators around this field hide from pydantic that it is an object.
    upstreams["minProperties"] = upstreams.pop("minLength")
    return {"$schema": DIALECT, **schema, "title": "switchboard.toml"}


class _OfTheFile(GenerateJsonSchema):
    """TOML has no null, any value may come from a variable, and what a field means stands in its docstring."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        generated = super().model_schema(schema)
        for name, text in _field_docs(schema["cls"]).items():
            generated["properties"][name].setdefault("description", text)
        # The name of an upstream makes its prefix, unless the file gives one.
        required = [name for name in generated.pop("required", []) if name != "prefix"]
        return {**generated, "required": required} if required else generated

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if generated.get("default", {}) is None or isinstance(generated.get("default"), dict):
            del generated["default"]  # null, or a table whose keys give their own
        return generated

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return _or_variable(super().bool_schema(schema))

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return _or_variable(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return _or_variable(super().float_schema(schema))

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return _or_variable(super().literal_schema(schema))

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        # The key says what it is for; the class, what it is inside.
        return _or_variable({"enum": [member.value for member in schema["members"]], "type": "string"})

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        generated = super().str_schema(schema)
        return _or_variable(generated) if "pattern" in generated else generated


def _or_variable(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, _VARIABLE]}


def _field_docs(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each field of a model and of those it is based on.

    Read from the source here, because pydantic would read it whenever Switchboard starts.
    """
    docs: dict[str, str] = {}
    bases = (
        base for base in reversed(model.__mro__) if issubclass(base, BaseModel) and base is not BaseModel
    )
    for base in bases:
        definition = ast.parse(dedent(inspect.getsource(base))).body[0]
        for field, below in pairwise(definition.body if isinstance(definition, ast.ClassDef) else ()):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as text)),
                ):
                    docs[name] = inspect.cleandoc(text)
                case _:
                    pass
    return docs
