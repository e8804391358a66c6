"""Times, dates and units, as an MCP server over stdio, with one slow tool to watch and cancel."""

import argparse
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time
from difflib import get_close_matches
from fractions import Fraction
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from mcp_proxy import __version__


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit as an affine map: (value + offset) × factor is the value in the base unit of its dimension."""

    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


def _scales(dimension: str, **factors: str) -> dict[str, Scale]:
    return {unit: Scale(dimension, Fraction(factor)) for unit, factor in factors.items()}


UNITS = {
    **_scales(
        "length",  # in meters
        millimeter="0.001", centimeter="0.01", meter="1", kilometer="1000", inch="0.0254", foot="0.3048",
        yard="0.9144", mile="1609.344", nautical_mile="1852",
    ),
    **_scales(
        "mass",  # in grams
        milligram="0.001", gram="1", kilogram="1000", tonne="1000000", ounce="28.349523125", pound="453.59237",
        stone="6350.29318",
    ),
    "celsius": Scale("temperature", Fraction(1), Fraction("273.15")),
    "fahrenheit": Scale("temperature", Fraction(5, 9), Fraction("459.67")),
    "kelvin": Scale("temperature", Fraction(1)),
    **_scales(
        "volume",  # in liters; the gallon and its parts are those of the US
        milliliter="0.001", liter="1", cubic_meter="1000", teaspoon="0.00492892159375",
        tablespoon="0.01478676478125", fluid_ounce="0.0295735295625", cup="0.2365882365", pint="0.473176473",
        quart="0.946352946", gallon="3.785411784",
    ),
    **_scales(
        "data size",  # in bytes
        bit="1/8", byte="1", kilobyte="1e3", megabyte="1e6", gigabyte="1e9", terabyte="1e12",
        kibibyte="1024", mebibyte="1048576", gibibyte="1073741824", tebibyte="1099511627776",
    ),
}  # fmt: skip

_READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

Zone = Annotated[
    str,
    Field(max_length=100, description="IANA time zone name, such as Europe/Berlin, America/New_York or UTC"),
]
_unit = partial(Field, json_schema_extra={"enum": list(UNITS)})
_day = partial(Field, max_length=100, json_schema_extra={"format": "date"})


class Moment(BaseModel):
    """A time in one zone."""

    time: str = Field(description="ISO 8601, with the offset from UTC")
    weekday: str
    timezone: str


class ConvertedTime(BaseModel):
    """The same moment in two zones."""

    source: Moment
    target: Moment


class Quantity(BaseModel):
    """A value in a unit."""

    value: float
    unit: str


def current_time(timezone: Zone) -> Moment:
    """Tell the current date and time in a time zone."""
    return _moment(datetime.now(_zone(timezone)))


def convert_time(
    time: Annotated[
        str,
        Field(max_length=100, description="24-hour HH:MM for today, or a date and time as YYYY-MM-DDTHH:MM"),
    ],
    source_timezone: Zone,
    target_timezone: Zone,
) -> ConvertedTime:
    """Convert a time from one time zone to another, summer time included."""
    local = _local(time, _zone(source_timezone))
    return ConvertedTime(source=_moment(local), target=_moment(local.astimezone(_zone(target_timezone))))


def convert_units(
    value: Annotated[float, Field(allow_inf_nan=False, description="The number to convert")],
    from_unit: Annotated[str, _unit(description="The unit it is in")],
    to_unit: Annotated[str, _unit(description="The unit it is wanted in; of the same kind")],
) -> Quantity:
    """Convert a length, mass, temperature, volume (US measures) or data size from one unit to another."""
    source, target = _scale(from_unit), _scale(to_unit)
    if source.dimension != target.dimension:
        fitting = ", ".join(unit for unit, scale in UNITS.items() if scale.dimension == source.dimension)
        raise ToolError(
            f"{from_unit} measures {source.dimension} and {to_unit} {target.dimension}; "
            f"choose a to_unit among {fitting}"
        )
    # str gives the decimal that was sent; from there all is exact until the one rounding at the end.
    base = (Fraction(str(value)) + source.offset) * source.factor
    if source.dimension == "temperature" and base < 0:
        raise ToolError(f"{value:g} {from_unit} is below absolute zero; check the value and its unit")
    try:
        return Quantity(value=float(base / target.factor - target.offset), unit=to_unit)
    except OverflowError as error:
        raise ToolError(f"{value:g} {from_unit} is too large in {to_unit}; choose a larger unit") from error


def days_between(
    start: Annotated[str, _day(description="Date to count from, YYYY-MM-DD")],
    end: Annotated[str, _day(description="Date to count to, YYYY-MM-DD")],
) -> int:
    """Count the days from one date to another; negative when the end comes first."""
    return (_date("end", end) - _date("start", start)).days


async def countdown(
    seconds: Annotated[float, Field(ge=0, le=300, description="How long to count, in seconds")],
    context: Context[Any, Any],
    steps: Annotated[int, Field(ge=1, le=100, description="How often to report progress on the way")] = 5,
) -> str:
    """Count down some seconds, reporting progress at equal steps; returns when the time is up."""
    for step in range(1, steps + 1):
        await anyio.sleep(seconds / steps)
        await context.report_progress(step, steps, f"{seconds * (1 - step / steps):g} seconds left")
    return f"{seconds:g} seconds are up"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        if not (known := available_timezones()):
            raise ToolError(
                "This computer has no time zone data; install it with: pip install tzdata"
            ) from error
        # By city as well: people say Berlin, the database Europe/Berlin.
        spellings = {place.casefold(): zone for zone in known for place in (zone, zone.rpartition("/")[2])}
        near = get_close_matches(name.casefold().replace(" ", "_"), spellings, n=1)
        remedy = f"did you mean {spellings[near[0]]}?" if near else "use an IANA name such as Europe/Berlin"
        raise ToolError(f"{name!r} is not a known time zone; {remedy}") from error


def _local(text: str, zone: ZoneInfo) -> datetime:
    """The moment `text` names in `zone`; of an hour that occurs twice, the first."""
    try:
        if "T" in text or " " in text:
            naive = datetime.fromisoformat(text)
        else:
            naive = datetime.combine(datetime.now(zone), time.fromisoformat(text))
    except ValueError as error:
        raise ToolError(f"time: {text!r} is not a time; write it as 14:30 or 2026-11-04T14:30") from error
    if naive.tzinfo:
        raise ToolError(f"time: {text!r} carries an offset; leave it out, source_timezone says it")
    if not MINYEAR < naive.year < MAXYEAR:
        raise ToolError(f"time: the year of {text!r} is out of range; use one from 2 to 9998")
    local = naive.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise ToolError(
            f"time: the clocks of {zone.key} skip {text!r}; choose a time an hour earlier or later"
        )
    return local


def _moment(moment: datetime) -> Moment:
    return Moment(
        time=moment.isoformat(timespec="seconds"), weekday=f"{moment:%A}", timezone=str(moment.tzinfo)
    )


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ToolError(
            f"{name}: {text!r} is not a date; write it as YYYY-MM-DD, such as 2026-11-04"
        ) from error


def _scale(unit: str) -> Scale:
    if scale := UNITS.get(unit):
        return scale
    near = get_close_matches(unit.casefold()[:100], UNITS, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(UNITS)}"
    raise ToolError(f"{unit!r} is not a known unit; {remedy}")


def clock_server() -> MCPServer[Any]:
    """An MCP server of five tools that change nothing."""
    server: MCPServer[Any] = MCPServer(
        "clock",
        title="Clock",
        version=__version__,
        instructions="Times in any zone, days between dates, conversion of units, and a countdown.",
        log_level="WARNING",
    )
    for tool, title in (
        (current_time, "Current time"),
        (convert_time, "Convert a time between zones"),
        (convert_units, "Convert units"),
        (days_between, "Days between dates"),
        (countdown, "Countdown"),
    ):
        # Clients older than 2025-06-18 look for the title among the annotations.
        server.add_tool(tool, title=title, annotations=_READS.model_copy(update={"title": title}))
    return server


def main() -> None:
    """Serve the clock over stdio until stdin closes."""
    argparse.ArgumentParser(prog="python -m mcp_proxy.demo.clock", description=__doc__).parse_args()
    clock_server().run()


if __name__ == "__main__":
    main()
