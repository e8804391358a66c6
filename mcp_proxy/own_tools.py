"""Making a tool of Switchboard's own: its definition from a pydantic model, and its arguments read by it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def own_tool(
    name: str,
    title: str,
    description: str,
    arguments: type[BaseModel],
    *,
    annotations: Mapping[str, bool],
    output: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A Tool object whose inputSchema is that of the model `arguments`.

    Args:
        name: what it is called, as long as no upstream without a prefix has a tool of that name.
        title: its name for people.
        description: what it does, for a model.
        arguments: the model of its arguments, each field with a description.
        annotations: the MCP hints that hold for it.
        output: the outputSchema of its structured result, if it gives one.
    """
    schema = arguments.model_json_schema()
    for parameter in schema["properties"].values():
        parameter.pop("title", None)
    schema.pop("title", None)
    schema.pop("description", None)
    definition: dict[str, Any] = {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {"title": title, **annotations},
    }
    return definition if output is None else {**definition, "outputSchema": dict(output)}


def read_arguments(name: str, arguments: Mapping[str, Any], model: type[M]) -> M | str:
    """The arguments of own tool `name`, or what is wrong with them."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        problems = "\n".join(f"- /{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return f"The arguments of `{name}` are not valid; nothing was done.\n{problems}"
