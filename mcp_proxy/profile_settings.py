"""The tables that say what clients are shown: of the server as a whole, and of each profile."""

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar, cast, get_args

from pydantic import BeforeValidator, Field

from mcp_proxy.escalation_settings import Budget
from mcp_proxy.settings_fields import BearerToken, Table, Text, nearest, refusal
from tool_registry.profiles import Profile, ToolOverride

Mode = Literal["auto", "all", "search", "plan"]
Form = Literal["auto", "original", "flat"]

T = TypeVar("T")

OWN = "switchboard"
"""What stands for a server in the patterns for Switchboard's own tools."""


def _by_client(choices: Sequence[str]) -> BeforeValidator:
    """Refuse what is neither one of `choices` nor a table of them; pydantic would tell a union as two problems."""

    def check(choice: object, remedy: str, *at: str) -> None:
        if choice not in choices:
            near = nearest(choice, choices) if isinstance(choice, str) else []
            message = f"is none of {', '.join(map(json.dumps, choices[:-1]))} and {json.dumps(choices[-1])}"
            raise refusal(message, f'did you mean "{near[0]}"?' if near else remedy, *at)

    def checked(value: object) -> object:
        if not isinstance(value, Mapping):
            example = f'{{ "cursor*" = "{choices[-1]}", "*" = "{choices[0]}" }}'
            check(value, f"write one of these, or give a table such as {example}")
            return value
        table = cast("Mapping[str, object]", value)
        for client, choice in table.items():
            if not client:
                raise refusal("names no client", 'write a pattern for its name, such as "*"', client)
            check(choice, "write one of these", client)
        return table

    return BeforeValidator(checked)


class ExposingTable(Table):
    """How much of what there is, a client is shown at once."""

    expose: Annotated[Mode | Mapping[Text, Mode], _by_client(get_args(Mode))] = "auto"
    """What tools/list shows: "all" tools; "search", which is find_tools, call_tool and what is always visible; "plan", which is do and plan too; or
    "auto", whichever suits the client. Or one of these by patterns for the client's name, of which the first counts:
    { "cursor*" = "search", "*" = "all" }. Tools that are not shown can still be found and called."""
    always_visible: tuple[Text, ...] = (f"{OWN}/do", f"{OWN}/plan")
    """Tools that "search" and "plan" show too: patterns for <upstream>/<tool>."""

    schemas: Annotated[Form | Mapping[Text, Form], _by_client(get_args(Form))] = "auto"
    """What form inputSchemas are shown in: the "original"; "flat", without anyOf, oneOf and allOf at the top, which
    some clients refuse; or "auto", whichever suits the client. Or one of these by patterns for the client's name.
    Arguments are checked against the original in any case."""

    def mode_for(self, client: str) -> Mode:
        """How much a client of this name is shown."""
        chosen = self.expose if isinstance(self.expose, str) else _first_fitting(self.expose, client)
        return chosen or "auto"

    def form_for(self, client: str) -> Form:
        """What form of schemas a client of this name is shown."""
        chosen = self.schemas if isinstance(self.schemas, str) else _first_fitting(self.schemas, client)
        return chosen or "auto"


def _first_fitting(chosen: Mapping[str, T], client: str) -> T | None:
    """What is chosen for a client of this name: the first pattern that fits counts."""
    return next((each for name, each in chosen.items() if fnmatchcase(client.lower(), name.lower())), None)


class ToolOverrideTable(Table):
    """How a profile rewrites one tool."""

    name: Text | None = None
    """The name clients see, in place of <prefix>__<tool>."""
    description: str | None = None
    """The description clients see."""
    fixed: Mapping[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    """Arguments that have this value and no other; clients see them as constants."""
    hidden: Mapping[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    """Arguments that have this value and of which clients see nothing."""


class ProfileTable(ExposingTable):
    """What one kind of client sees and may do."""

    allow: tuple[Text, ...] = ("*",)
    """What there is: patterns for <upstream>/<name>, of tools and prompts, and <upstream>/<uri>, of resources."""
    deny: tuple[Text, ...] = ()
    """What of that there is not."""
    read_only: bool = False
    """Only tools that say of themselves that they change nothing (readOnlyHint)."""
    tools: Mapping[str, ToolOverrideTable] = Field(default_factory=dict[str, ToolOverrideTable])
    """Tools that are rewritten, by <upstream>/<tool>."""
    validation: Literal["enforce", "warn", "off"] | None = None
    """What becomes of calls whose arguments do not fit; None leaves it to the upstream's own setting."""
    budget: Budget = Budget()
    """What its tasks may spend on escalation, within the budget of all."""
    tokens: tuple[BearerToken, ...] = ()
    """Bearer tokens that let a client in over HTTP with this profile, and no other."""

    @property
    def profile(self) -> Profile:
        """As the registry has it."""
        overrides = {
            place: ToolOverride(tool.name, tool.description, tool.fixed, tool.hidden)
            for place, tool in self.tools.items()
        }
        return Profile(self.allow, self.deny, self.read_only, overrides)
