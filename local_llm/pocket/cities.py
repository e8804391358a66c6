"""Time zones by the name of a city: those of the IANA database, and large cities it files under another. Data only."""

import re
from collections.abc import Iterator
from functools import cache
from zoneinfo import available_timezones

from local_llm.pocket.spans import Kind, Span

_OTHERS = {
    "America/New_York": "New York City,NYC,Washington,Boston,Philadelphia,Miami,Atlanta,Orlando,Baltimore,Pittsburgh",
    "America/Los_Angeles": "LA,San Francisco,Seattle,San Diego,Las Vegas,Portland,San Jose,Sacramento,Silicon Valley",
    "America/Chicago": "Dallas,Houston,Austin,San Antonio,New Orleans,Minneapolis,Nashville,Memphis,St Louis,Milwaukee",
    "America/Denver": "Salt Lake City,Albuquerque,Boulder,Colorado Springs",
    "America/Toronto": "Ottawa,Montreal,Quebec",
    "America/Edmonton": "Calgary",
    "America/Sao_Paulo": "Rio,Rio de Janeiro,Brasilia,São Paulo",
    "America/Argentina/Buenos_Aires": "Buenos Aires",
    "Europe/London": "Edinburgh,Glasgow,Manchester,Birmingham,Liverpool,Cardiff",
    "Europe/Berlin": "Munich,Frankfurt,Hamburg,Cologne,Stuttgart,Düsseldorf,München,Köln",
    "Europe/Paris": "Lyon,Marseille,Toulouse,Nice",
    "Europe/Madrid": "Barcelona,Valencia,Seville",
    "Europe/Rome": "Milan,Naples,Florence,Turin,Venice",
    "Europe/Zurich": "Geneva,Basel,Bern,Zürich",
    "Europe/Amsterdam": "Rotterdam,The Hague",
    "Europe/Kyiv": "Kiev",
    "Europe/Moscow": "Saint Petersburg,St Petersburg",
    "Europe/Istanbul": "Ankara,Izmir",
    "Europe/Warsaw": "Krakow,Gdansk",
    "Europe/Lisbon": "Porto",
    "Asia/Shanghai": "Beijing,Shenzhen,Guangzhou,Hangzhou,Chengdu,Wuhan,Nanjing",
    "Asia/Tokyo": "Osaka,Kyoto,Yokohama,Nagoya,Sapporo",
    "Asia/Kolkata": "Mumbai,Delhi,New Delhi,Bangalore,Bengaluru,Chennai,Hyderabad,Pune,Calcutta",
    "Asia/Dubai": "Abu Dhabi",
    "Asia/Riyadh": "Jeddah,Mecca",
    "Asia/Jerusalem": "Tel Aviv",
    "Asia/Karachi": "Islamabad,Lahore",
    "Asia/Ho_Chi_Minh": "Hanoi,Saigon,Ho Chi Minh City",
    "Australia/Sydney": "Canberra",
    "Pacific/Auckland": "Wellington,Christchurch",
    "Africa/Johannesburg": "Cape Town,Durban,Pretoria",
    "Africa/Cairo": "Alexandria",
    "Africa/Lagos": "Abuja",
    "Africa/Casablanca": "Rabat,Marrakesh",
}
_AREAS = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
_NO_CITIES = frozenset(
    {"north", "south", "west", "east", "center", "general", "eastern", "central", "mountain", "act"}
)
"""Last parts of zones that are no cities, in lower case."""


@cache
def _zones() -> dict[str, str]:
    """City in lower case → its zone; a city that stands in two zones is in none."""
    found: dict[str, set[str]] = {}
    for zone in available_timezones():
        city = zone.rpartition("/")[2].replace("_", " ").lower()
        if zone.startswith(_AREAS) and zone.count("/") == 1 and city not in _NO_CITIES:
            found.setdefault(city, set()).add(zone)
    single = {city: zones.pop() for city, zones in found.items() if len(zones) == 1}
    others = {city.lower(): zone for zone, cities in _OTHERS.items() for city in cities.split(",")}
    return single | others


@cache
def _cities() -> re.Pattern[str]:
    names = "|".join(re.escape(city) for city in sorted(_zones(), key=len, reverse=True))
    return re.compile(rf"(?<![\w/])(?:{names})(?![\w/])", re.IGNORECASE)


def find_cities(text: str) -> Iterator[Span]:
    """The cities in `text`, left to right; each `value` is the IANA name of its time zone."""
    for match in _cities().finditer(text):
        yield Span(match.start(), match.end(), Kind.TIMEZONE, match.group(), _zones()[match.group().lower()])
