"""The user at the terminal: asked for what is missing, and read from KEY=VALUE arguments."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

import anyio
import anyio.to_thread
import click
from rich.markup import escape

from mcp_proxy.gate import Ask, Question
from mcp_proxy.ports import Answers, CannotAsk, Declined
from mcp_proxy.render import stderr
from tool_registry import ToolEntry
from tool_registry.repair import read_text


class TerminalPerson:
    """The user at the terminal; without one, nobody can be asked."""

    def __init__(self, *, approve: bool, silent: bool) -> None:
        self._approve = approve
        self._reachable = sys.stdin.isatty() and not silent

    async def ask(self, ask: Ask) -> Answers | Declined | CannotAsk:
        if not ask.questions and self._approve:
            return Answers({})
        if not self._reachable:
            pairs = " ".join(f"--answer {question.parameter}=…" for question in ask.questions)
            return CannotAsk(f"add {pairs or '--yes'}")
        given = json.dumps(ask.call.arguments, ensure_ascii=False)
        stderr.print(f"[yellow]{escape(ask.reason)}[/]\n  {escape(ask.call.tool.qualified)} {escape(given)}")
        return await anyio.to_thread.run_sync(self._ask_now, ask)

    def _ask_now(self, ask: Ask) -> Answers | Declined:
        try:
            if not ask.questions:
                return Answers({}) if click.confirm("Go ahead?", err=True) else Declined()
            return Answers({q.parameter: _prompt(q, ask.call.tool) for q in ask.questions})
        except click.Abort:
            return Declined()


def _prompt(question: Question, tool: ToolEntry) -> Any:
    about = question.schema.get("description")
    label = f"{question.parameter} ({about})" if about else question.parameter
    return read_text(tool.parameters.get(question.parameter, {}), click.prompt(label, err=True))


def read_pairs(tool: ToolEntry, pairs: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE texts as arguments of `tool`.

    Raises:
        click.UsageError: one is not KEY=VALUE.
    """
    return {key: read_text(tool.parameters.get(key, {}), value) for key, value in split_pairs(pairs).items()}


def split_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE texts by key.

    Raises:
        click.UsageError: one is not KEY=VALUE.
    """
    split: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{pair!r} is not KEY=VALUE")
        split[key] = value
    return split


def json_object(text: str, what: str = "--args") -> Mapping[str, Any]:
    """The JSON object in `text`, which is called `what` if it is none.

    Raises:
        click.UsageError: it is not one.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{what} must be a JSON object")
    return cast("Mapping[str, Any]", value)
