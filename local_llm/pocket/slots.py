"""A parameter read once: which values may fill it, and by which words a task would speak of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from local_llm.pocket.spans import Kind
from local_llm.pocket.vocabulary import ANNOUNCERS, GENERIC_NAME_WORDS, GOAL_NAMES, ORIGIN_NAMES
from tool_registry.search import words

Schema = Mapping[str, Any]

_KINDS_BY_NAME = {
    name: kind
    for kind, names in {
        Kind.URL: "url uri link href endpoint website webpage",
        Kind.EMAIL: "email mail recipient recipients cc bcc",
        Kind.PATH: "path file filename filepath folder directory dir dirname root cwd paths files repo",
        Kind.TIMEZONE: "timezone tz zone timezones",
        Kind.DATE: "date day deadline dates birthday",
        Kind.DATETIME: "timestamp datetime",
        Kind.TIME: "time hour",
        Kind.IDENTIFIER: "id ids uuid sha hash revision commit token code version ip host",
    }.items()
    for name in names.split()
}
_KINDS_BY_FORMAT = {
    "uri": Kind.URL,
    "url": Kind.URL,
    "email": Kind.EMAIL,
    "date": Kind.DATE,
    "date-time": Kind.DATETIME,
    "time": Kind.TIME,
    "uuid": Kind.IDENTIFIER,
}
_CLOCK = re.compile(r"\bHH:MM|24-hour", re.IGNORECASE)
_KINDS_BY_DESCRIPTION = (
    (Kind.DATETIME, re.compile(r"\bISO.?8601\b|date-?time|timestamp", re.IGNORECASE)),
    (Kind.DATE, re.compile(r"YYYY-MM-DD|%Y-%m-%d|\bISO dates?\b")),
    (Kind.TIME, _CLOCK),
    (Kind.TIMEZONE, re.compile(r"\bIANA\b")),
    (Kind.URL, re.compile(r"^(?:the )?(?:full )?url\b", re.IGNORECASE)),
    (Kind.PATH, re.compile(r"^(?:the )?(?:absolute |relative |full |file )*path\b", re.IGNORECASE)),
)
ISO = "ISO 8601"
"""A form of dates: with the time where one is said, else without."""
_FORMS = (
    ("%Y-%m-%d", re.compile(r"YYYY-MM-DD|%Y-%m-%d|\b\d{4}-\d\d-\d\d\b", re.IGNORECASE)),
    (ISO, re.compile(r"\bISO.?8601\b|\bISO dates?\b", re.IGNORECASE)),
    ("%m/%d/%Y", re.compile(r"MM/DD/YYYY", re.IGNORECASE)),
    ("%d/%m/%Y", re.compile(r"DD/MM/YYYY", re.IGNORECASE)),
    ("%d-%m-%Y", re.compile(r"DD-MM-YYYY", re.IGNORECASE)),
    ("%d.%m.%Y", re.compile(r"DD\.MM\.YYYY", re.IGNORECASE)),
    ("%Y/%m/%d", re.compile(r"YYYY/MM/DD", re.IGNORECASE)),
)
"""Forms of dates for strftime, and how descriptions ask for them."""
_WHOLE = re.compile(r"YYYY-MM-DD[T ]HH|%Y-%m-%d[T ]%H|\d{4}-\d\d-\d\dT\d\d", re.IGNORECASE)
_DATED = frozenset({Kind.DATE, Kind.DATETIME})
_FREE = frozenset(
    "text content contents message body query search prompt task description question comment note insight data "
    "statement sql thought value q reason instruction instructions input topic intent".split()
)
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_GROUP = re.compile(
    r"\(([^()]{3,200})\)|(?:one of|either|options?|values?|allowed)\s*:?\s+([^.;()]{3,200})", re.IGNORECASE
)
_EXAMPLES = re.compile(r"\s*(?:e\.?g|i\.?e|for example|such as|like)\b", re.IGNORECASE)
_NOT_OPTIONS = re.compile(r"(?:optional|required|defaults?\b.*|etc\.?|\d+-\d+)$", re.IGNORECASE)
_ORIGIN_SAID = re.compile(
    r"\b(?:from|depart\w*|leaving|origin|start(?:s|ing)? (?:at|in|point))\b(?! which)", re.IGNORECASE
)
_GOAL_SAID = re.compile(
    r"\b(?:to$|going to|flying to|travel(?:l?ing)? to|headed to|heading to|destination|arriv\w*|drop-?off|ends? (?:at|in))\b",
    re.IGNORECASE,
)
_ENDS_SAID_WITHIN = 120
_JOINED = re.compile(r"\bcomma[- ](?:separated|delimited)", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*(?:,|\||/|\bor\b|;)\s*")
_OPTION = re.compile(r"[A-Za-z][\w.+-]+")
_DESCRIPTION_READ = 2000
"""Characters of a description that are searched for options."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter, or one member of a parameter that is an object."""

    name: str
    """Its name; a member's is that of its object, a dot, and its own."""
    path: tuple[str, ...]
    """Where its value stands in the arguments: its name, or the object's and the member's."""
    required: bool
    needed: bool
    """Whether the object that it is a member of cannot do without it; `required` for a parameter itself."""
    types: frozenset[str]
    """JSON types but null; empty when the schema allows any."""
    options: tuple[str | int | float, ...]
    """Values listed by the schema's enum, or else by the description."""
    closed: bool
    """Whether nothing but the options is valid."""
    words: frozenset[str]
    """Stems of the name that tell it from others; all of them where nothing else is left."""
    parts: frozenset[str]
    """The name's words as written, in lower case, and the name itself."""
    about: frozenset[str]
    """Stems of the description."""
    kinds: frozenset[Kind]
    """What its name, format or description says it holds; empty for any text."""
    announcers: tuple[tuple[str, int], ...]
    """Words that may announce its value, each with its rank among the parameters so announced, 0 the likeliest."""
    clock: bool
    """Whether times are wanted in 24 hours."""
    dated: str
    """The form that dates are wanted in, for strftime; empty when none is said, and dates stay as written."""
    whole: bool
    """Whether a time of day has to stand with the date."""
    origin: bool
    """Whether it is where something comes from or begins."""
    goal: bool
    """Whether it is where something goes or ends."""
    item: "Slot | None"
    """For an array of plain values, what one item is."""
    joined: bool
    """Whether it is one text that lists several values, with commas between them."""
    minimum: float
    maximum: float

    @property
    def numeric(self) -> bool:
        return bool(self.types & {"integer", "number"}) and "string" not in self.types

    @property
    def textual(self) -> bool:
        return not self.types or "string" in self.types

    @property
    def free(self) -> bool:
        """Whether its name is one that takes running text."""
        return not self.parts.isdisjoint(_FREE)

    @property
    def running(self) -> bool:
        """Whether a value for it may be a whole sentence."""
        return self.free and not self.kinds


def read_slot(name: str, schema: Schema, *, required: bool) -> Slot:
    """What the schema of parameter `name` says; `$ref` must be resolved before."""
    branches = (schema, *_branches(schema))
    description = str(schema.get("description") or "")
    types = frozenset(kind for branch in branches for kind in _types(branch)) - {"null"}
    declared = tuple(value for branch in branches for value in _values(branch))
    parts = frozenset(part.lower() for part in _NAME_PART.findall(name)) | {name.lower()}
    stems = frozenset(words(name))
    kinds = _kinds(parts, schema, description)
    origin, goal = _ends(parts, description)
    listed = types == frozenset({"string"}) and not kinds and not declared
    return Slot(
        name=name,
        path=(name,),
        required=required,
        needed=required,
        types=types,
        options=declared or (_described_options(description[:_DESCRIPTION_READ]) if listed else ()),
        closed=bool(declared),
        words=stems - GENERIC_NAME_WORDS or stems,
        parts=parts,
        about=frozenset(words(description)),
        kinds=kinds,
        announcers=tuple(_announcers(parts)),
        origin=origin,
        goal=goal,
        clock=bool(_CLOCK.search(description)) or schema.get("format") == "time",
        dated=next((form for form, pattern in _FORMS if pattern.search(description)), "")
        or ("%Y-%m-%d" if str(schema.get("format")) in {"date", "date-time"} else ""),
        whole=schema.get("format") == "date-time" or bool(_WHOLE.search(description)),
        item=next(
            (_item(name, branch, description) for branch in branches if "array" in _types(branch)), None
        ),
        joined=types == frozenset({"string"}) and bool(_JOINED.search(description)),
        minimum=_bound(branches, "minimum", float("-inf")),
        maximum=_bound(branches, "maximum", float("inf")),
    )


def read_slots(name: str, schema: Schema, *, required: bool) -> tuple[Slot, ...]:
    """The parameter `name`; where it is an object with declared members, those of them that hold plain values."""
    members = schema.get("properties")
    if "object" not in _types(schema) or not isinstance(members, Mapping):
        return (read_slot(name, schema, required=required),)
    wanted = schema.get("required")
    needed = cast("list[object]", wanted) if isinstance(wanted, list) else []
    told = str(schema.get("description") or "")
    slots: list[Slot] = []
    for member, about in cast("Mapping[str, object]", members).items():
        if not isinstance(about, Mapping):
            continue
        slot = read_slot(member, cast("Schema", about), required=required and member in needed)
        context = frozenset(words(f"{name} {told}"))
        slots.append(
            replace(
                slot,
                name=f"{name}.{member}",
                path=(name, member),
                needed=member in needed,
                about=slot.about | context,
            )
        )
    return tuple(slots) or (read_slot(name, schema, required=required),)


def _item(name: str, schema: Schema, description: str) -> Slot | None:
    """What one item of an array is, if it is a plain value; the array's own name and description speak for it."""
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return None
    item = cast("Schema", items)
    if not set(_types(item)) <= {"string", "number", "integer"}:
        return None
    return read_slot(name, {"description": description, **item}, required=False)


def _branches(schema: Schema) -> Iterator[Schema]:
    for key in ("anyOf", "oneOf"):
        branches = schema.get(key)
        if isinstance(branches, list):
            yield from (cast("Schema", b) for b in cast("list[object]", branches) if isinstance(b, Mapping))


def _types(schema: Schema) -> tuple[str, ...]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return (declared,)
    if isinstance(declared, list):
        return tuple(str(kind) for kind in cast("list[object]", declared))
    # A reference that could not be resolved, or a schema of parts: not for plain values.
    return ("object",) if schema.keys() & {"$ref", "allOf", "properties"} else ()


def _values(schema: Schema) -> tuple[str | int | float, ...]:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    plain = cast("list[object]", values) if isinstance(values, list) else []
    return tuple(v for v in plain if isinstance(v, str | int | float) and not isinstance(v, bool))


def _bound(branches: tuple[Schema, ...], key: str, default: float) -> float:
    return next((float(b[key]) for b in branches if isinstance(b.get(key), int | float)), default)


def _kinds(parts: frozenset[str], schema: Schema, description: str) -> frozenset[Kind]:
    if declared := _KINDS_BY_FORMAT.get(str(schema.get("format", ""))):
        return _DATED if declared in _DATED else frozenset((declared,))
    found = {_KINDS_BY_NAME[part] for part in parts if part in _KINDS_BY_NAME}
    found |= {kind for kind, pattern in _KINDS_BY_DESCRIPTION if pattern.search(description)}
    if Kind.TIMEZONE in found:
        found.discard(Kind.TIME)
    return frozenset(found | _DATED if found & _DATED else found)


def _ends(parts: frozenset[str], description: str) -> tuple[bool, bool]:
    """Whether the parameter is where something begins, and whether it is where it ends: by its name, else its description."""
    origin, goal = not parts.isdisjoint(ORIGIN_NAMES), not parts.isdisjoint(GOAL_NAMES)
    if origin or goal or len(description) > _ENDS_SAID_WITHIN:
        return origin, goal
    origin, goal = bool(_ORIGIN_SAID.search(description)), bool(_GOAL_SAID.search(description))
    return (origin, goal) if origin != goal else (False, False)


def _announcers(parts: frozenset[str]) -> Iterator[tuple[str, int]]:
    for lead, names in ANNOUNCERS.items():
        rank = next((rank for rank, name in enumerate(names) if name in parts), None)
        if rank is not None:
            yield lead, rank


def _described_options(description: str) -> tuple[str, ...]:
    """Values that a description lists: "(mesh, ring, star)", "one of: low | high"; no examples."""
    for match in _GROUP.finditer(description):
        listed = match.group(1) or match.group(2)
        items = [item.strip(" \t\n\"'`") for item in _SEPARATOR.split(listed)]
        items = [item for item in items if item and not _NOT_OPTIONS.match(item)]
        if len(items) > 1 and not _EXAMPLES.match(listed) and all(_OPTION.fullmatch(item) for item in items):
            return tuple(dict.fromkeys(items))
    return ()
