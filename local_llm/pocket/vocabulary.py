"""What common words stand for: synonyms of verbs and nouns, roles of prepositions and of parameter names.

Data only. Each line of synonyms is a class; a word may stand in several.
"""

from collections.abc import Mapping

from tool_registry.search import words

_SYNONYMS = """
create add new make insert register generate build
initialize init initialise setup start bootstrap begin
spawn create start launch
create initialize init initialise setup
get show read display view fetch retrieve see tell give print check open
list show enumerate which view
delete remove erase drop discard
update change edit modify set
search find look query lookup locate
write save store put record append
stop shutdown terminate kill end halt
cancel abort
run execute start trigger perform
send post notify
move rename
copy duplicate clone
calculate compute
count many
difference diff
folder directory dir
file document
repository repo
information info detail
message msg
configuration config setting
database db
sum total add plus
between difference
logs log commits history
"""

VERBS = frozenset(
    stem
    for line in """
create add new make insert register generate build initialize init setup start begin spawn launch get show read
display view fetch retrieve see tell give print check open list enumerate delete remove erase drop update change
edit modify set search find look query lookup write save store put append stop shutdown terminate kill cancel run
execute trigger send post move rename copy duplicate calculate compute convert count reset import export upload
download install uninstall enable disable subscribe unsubscribe join leave train deploy commit checkout
""".splitlines()
    for stem in words(line)
)
"""Stems of the words that say what is to be done."""

ACTIONS = VERBS | frozenset(
    words(
        "email mail call buy play summarize summarise translate schedule remind describe echo compare merge push pull "
        "stage tag close reopen assign mark archive share replace analyze analyse extract compress zip unzip encrypt "
        "decrypt sort filter ping announce invite reply post publish visit scan verify validate test inspect explain "
        "evaluate assess determine recommend suggest predict forecast identify generate provide pay order reserve "
        "book rate measure monitor track log pause resume restart"
    )
)
"""Stems that say what is to be done when a step begins with them; many are nouns elsewhere."""

DEEDS = frozenset(
    words(
        "delete remove erase drop write save store move rename copy create insert send post kill commit upload"
    )
)
"""Stems of verbs that change something, each in a way of its own: what does not speak of them does not do them."""

SLIGHT = frozenset(words("get list show display run tool do use all new current data value api give tell"))
"""Stems that say little about which tool is meant."""

FILLER = frozenset(
    words(
        "want need like would could should using into let help know out just now also sure tool "
        "server mcp thank thanks hi hello hey am he she they has have had about if yes than how when where "
        "many much who whose upon per via up following given me us our after before named called titled saying says "
        "following then under inside within between last first latest top about around but it say again"
    )
)
"""Stems that speak to the listener or join other words; a tool need not explain them."""


def _synonyms() -> Mapping[str, frozenset[str]]:
    classes: dict[str, set[str]] = {}
    for line in _SYNONYMS.split("\n"):
        stems = set(words(line))
        for stem in stems:
            classes.setdefault(stem, set()).update(stems)
    return {stem: frozenset(others) for stem, others in classes.items()}


SYNONYMS = _synonyms()
"""Stem → stems that may stand for it, itself included."""


def same_meaning(stem: str) -> frozenset[str]:
    """The stems that may stand for `stem`, itself included."""
    return SYNONYMS.get(stem, frozenset((stem,)))


ORIGIN_LEADS = frozenset({"from", "between", "since", "starting"})
GOAL_LEADS = frozenset({"to", "until", "into", "till"})
ORIGIN_NAMES = frozenset(
    "from source src start begin origin old base first since after input current departure departing depart leaving "
    "starting outbound checkin".split()
)
GOAL_NAMES = frozenset(
    "to target end destination dest dst until new output goal last before into recipient receiver arrival arriving ending "
    "return checkout dropoff".split()
)

ANNOUNCERS: Mapping[str, tuple[str, ...]] = {
    lead: tuple(names.split())
    for lead, names in {
        "titled": "title name subject heading",
        "entitled": "title name",
        "called": "name title id label",
        "named": "name title id label",
        "saying": "text content message body note description comment",
        "says": "text content message body note description comment",
        "containing": "text content query pattern body search",
        "tagged": "tag tags label labels category categories",
        "labelled": "label tag category",
        "labeled": "label tag category",
        "about": "query topic subject search question q",
        "for": "query topic search q keyword pattern term question",
        "matching": "query pattern filter search glob",
        "under": "key path folder directory namespace",
        "in": "path folder directory location city namespace repo repo_path",
        "at": "path time location url",
        "into": "path file destination filename",
        "on": "date topic",
        "inside": "path folder directory",
        "with": "content message text",
    }.items()
}
"""Words that announce a value → names of parameters that may take it, the likeliest first."""

UNMISTAKABLE = frozenset(
    "titled entitled called named saying says containing tagged labelled labeled".split()
)
"""Announcing words that leave little doubt; the others are also plain prepositions."""

CURRENCIES: Mapping[str, str] = {
    name: code
    for code, names in {
        "USD": "usd dollar dollars", "EUR": "eur euro euros", "GBP": "gbp pound pounds sterling", "JPY": "jpy yen",
        "CNY": "cny yuan renminbi rmb", "INR": "inr rupee rupees", "CHF": "chf franc francs", "CAD": "cad", "AUD": "aud",
        "NZD": "nzd", "SEK": "sek", "NOK": "nok", "DKK": "dkk", "KRW": "krw won", "BRL": "brl reais", "MXN": "mxn",
        "SGD": "sgd", "HKD": "hkd", "ZAR": "zar rand", "PLN": "pln zloty", "TRY": "try lira", "RUB": "rub rubles",
        "THB": "thb baht", "BTC": "btc bitcoin", "ETH": "eth ether",
    }.items()
    for name in names.split()
}  # fmt: skip
"""Currencies as people write them → their codes."""

COUNTING_NAMES = frozenset(words("limit count max top k n maximum amount number size results tail head"))
COUNTING_LEADS = frozenset("top first last latest most limit least up only".split())
COUNTED = frozenset(words("results items entries lines records hits matches"))
GENERIC_NAME_WORDS = frozenset(
    words("max min count num number name id value param parameter is the input arg total")
)
BOOLEAN_PREFIXES = frozenset(
    words("is enable enabled include should with show allow use has do force_ return")
)
NEGATIVE_PREFIXES = frozenset(words("disable skip no exclude without omit"))

UNITS = {
    short: name
    for name, shorts in {
        "kilometer": "km kms kilometre kilometres", "meter": "m metre metres", "centimeter": "cm centimetre centimetres",
        "millimeter": "mm millimetre millimetres", "mile": "mi", "foot": "ft feet", "inch": "inches", "yard": "yd yds",
        "kilogram": "kg kgs kilo kilos", "gram": "g", "milligram": "mg", "pound": "lb lbs", "ounce": "oz", "tonne": "t",
        "liter": "l litre litres", "milliliter": "ml millilitre millilitres", "celsius": "c", "fahrenheit": "f",
        "kilobyte": "kb", "megabyte": "mb", "gigabyte": "gb", "terabyte": "tb", "kelvin": "k",
    }.items()
    for short in shorts.split()
}  # fmt: skip
"""Units as people write them → their names. "in" is left out: it is nearly always a preposition."""

UNIT_FORMS: Mapping[str, tuple[str, ...]] = {
    name: tuple(short for short, unit in UNITS.items() if unit == name) for name in set(UNITS.values())
}
"""Unit names → the ways people write them."""
