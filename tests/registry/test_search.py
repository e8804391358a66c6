"""Search: the tools a task may mean, best first."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tool_registry import Candidate, Catalog, Offer, ToolIndex
from tool_registry.lexical import Bm25, Document
from tool_registry.words import Vocabulary, terms, words


def tool(name: str, description: str = "", **parameters: str) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties},
    }


CATALOG = Catalog(
    (
        Offer(
            "notes",
            "notes",
            (tool("addNote", "Write a note", title="Its title"), tool("search_notes", "Find notes")),
        ),
        Offer(
            "clock", "clock", (tool("convert_units", "Convert a value", from_unit="Unit", to_unit="Unit"),)
        ),
    )
)
INDEX = ToolIndex(CATALOG.tools.values())


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("add a note", "notes__addNote"),
        ("searching my notes", "notes__search_notes"),
        ("converting some unit", "clock__convert_units"),
        ("clock", "clock__convert_units"),
    ],
)
def test_the_tool_that_shares_the_most_telling_words_comes_first(query: str, best: str) -> None:
    assert INDEX.search(query)[0].tool.qualified == best


def test_an_option_of_a_parameter_finds_its_tool() -> None:
    schema = {"type": "object", "properties": {"to": {"enum": ["pound", "kilogram"]}}}
    weigh = {"name": "convert", "description": "", "inputSchema": schema}
    catalog = Catalog((Offer("scales", "scales", (weigh, tool("weigh"))),))
    found = ToolIndex(catalog.tools.values()).search("how many pounds are that")
    assert [candidate.tool.qualified for candidate in found] == ["scales__convert"]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "xyzzy", "🍕", "\0"])
def test_a_query_that_shares_no_word_finds_nothing(query: str) -> None:
    assert INDEX.search(query) == ()


def test_an_empty_catalog_finds_nothing() -> None:
    assert ToolIndex([]).search("add a note") == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("café", ("café",)),
        ("cafe\u0301", ("café",)),
        ("créerÉlément_naïf", ("créer", "élément", "naïf")),
        ("ÉCOLEPublique", ("école", "publiqu")),
        ("x2Ångström", ("x", "2", "ångström")),
        ("mắt", ("mắt",)),
        ("東京Tower", ("東京", "tower")),
        ("Straße", ("straße",)),
    ],
)
def test_a_letter_with_an_accent_is_a_letter_like_any_other(text: str, found: tuple[str, ...]) -> None:
    assert words(text) == found


@given(st.text(st.characters(codec="ascii")))
def test_plain_text_is_split_as_any_other_is(text: str) -> None:
    assert words(text) == words(f"{text} é")[:-1]


def test_names_are_split_and_words_are_stemmed() -> None:
    assert words("createHTTPServers with max_agents2") == ("creat", "http", "server", "max", "agent", "2")


def catalog_of(*tools: dict[str, Any], upstream: str = "one") -> Catalog:
    return Catalog((Offer(upstream, upstream, tools),))


def names(found: tuple[Candidate, ...]) -> list[str]:
    return [candidate.tool.name for candidate in found]


def test_equally_good_tools_keep_the_order_of_the_catalog() -> None:
    tools = [tool(f"save_{letter}", "Save it") for letter in "zyxwv"]
    assert names(ToolIndex(catalog_of(*tools).tools.values()).search("save")) == [t["name"] for t in tools]


def test_a_tool_described_in_another_language_is_found_by_its_name_and_by_that_language() -> None:
    tools = (tool("get_weather", "查询指定城市的天气预报"), tool("get_news", "查询最新新闻"))
    index = ToolIndex(catalog_of(*tools).tools.values())
    assert names(index.search("weather"))[0] == "get_weather"
    assert names(index.search("天气"))[0] == "get_weather"
    assert index.search("предсказание погоды") == ()


@pytest.mark.parametrize("query", ["note " * 100_000, "\ud800 note", "note\0", "NOTE" * 50_000])
def test_an_odd_or_huge_query_is_answered(query: str) -> None:
    assert len(INDEX.search(query)) <= 3


def test_a_huge_description_costs_no_more_than_its_beginning() -> None:
    huge = tool("talk", "words and more words. " * 100_000, **{f"p{n}": "long " * 1000 for n in range(200)})
    index = ToolIndex(catalog_of(huge, tool("listen", "Listen")).tools.values())
    assert all(len(text) < 2_000 for text in index.passages)
    assert names(index.search("listen")) == ["listen"]


def test_an_example_question_finds_its_tool() -> None:
    index = INDEX.with_examples({"clock__convert_units": ["how far is a marathon in versts"]})
    assert names(index.search("versts")) == ["convert_units"]
    assert "how far is a marathon in versts" in list(index.passages)
    assert INDEX.search("versts") == ()


def unit(*numbers: float) -> NDArray[np.float32]:
    vector = np.array(numbers, np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def vectors_of(index: ToolIndex, *vectors: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return dict(zip(index.passages, vectors, strict=True))


def test_what_means_the_same_is_found_though_no_word_is_shared() -> None:
    index = INDEX.with_vectors(vectors_of(INDEX, unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1)))
    found = index.search("erase memos", vector=unit(0.1, 1, 0))
    assert names(found) == ["search_notes"]
    assert index.search("erase memos") == ()


def test_words_and_meaning_count_together() -> None:
    index = INDEX.with_vectors(vectors_of(INDEX, unit(1, 1, 0), unit(1, 1, 0), unit(0, 0, 1)))
    assert names(index.search("add note", vector=unit(1, 1, 0)))[0] == "addNote"
    assert names(index.search("note", vector=unit(0, 0, 1)))[0] == "convert_units"


def test_the_nearest_of_a_tools_vectors_counts() -> None:
    index = INDEX.with_examples({"notes__addNote": ["jot this down", "keep that in mind"]})
    vectors = vectors_of(index, unit(1, 0, 0), unit(0, 1, 0), unit(0, 0, 1), unit(1, 1, 0), unit(1, 1, 1))
    assert names(index.with_vectors(vectors).search("?", 1, unit(0, 0, 1))) == ["addNote"]


def test_a_tool_without_a_vector_is_neither_favoured_nor_lost() -> None:
    first, *_ = INDEX.passages
    index = INDEX.with_vectors({first: unit(1, 0)})
    assert names(index.search("convert units", vector=unit(1, 0.2)))[0] == "convert_units"


def test_no_vectors_at_all_leave_the_words() -> None:
    index = INDEX.with_vectors({})
    assert index.search("add a note", vector=unit(1, 0)) == INDEX.search("add a note")


WORDS = st.sampled_from("add note list file clock time convert unit swarm agent 天气预报 naïve".split())
TOOLS = st.lists(
    st.builds(tool, WORDS, st.lists(WORDS, max_size=8).map(" ".join)),
    max_size=8,
    unique_by=lambda t: t["name"],
)


@given(TOOLS, TOOLS, st.lists(WORDS, max_size=4).map(" ".join))
def test_an_index_that_followed_a_change_finds_what_a_new_one_finds(
    before: list[dict[str, Any]], after: list[dict[str, Any]], query: str
) -> None:
    followed = ToolIndex(catalog_of(*before).tools.values())
    followed.search(query)
    catalog = catalog_of(*after)
    found = followed.with_tools(catalog.tools.values()).search(query)
    assert [(c.tool, pytest.approx(c.score)) for c in found] == [
        (c.tool, c.score) for c in ToolIndex(catalog.tools.values()).search(query)
    ]


def test_only_what_changed_is_read_again() -> None:
    tools = [tool(f"tool_{number}") for number in range(5)]
    index = ToolIndex(catalog_of(*tools).tools.values())
    before = list(index.passages)
    changed = index.with_tools(catalog_of(*tools[:3], tool("tool_3", "Changed"), tool("new")).tools.values())
    after = list(changed.passages)
    assert [text is old for text, old in zip(after, before, strict=True)] == [True, True, True, False, False]


@given(st.lists(st.lists(WORDS, max_size=6), min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=3))
def test_scores_are_those_of_the_formula(texts: list[list[str]], query: list[str]) -> None:
    vocabulary = Vocabulary()
    documents = [Document.read([(" ".join(text), 1.0)], vocabulary) for text in texts]
    scores = Bm25(documents, vocabulary).scores(" ".join(query))
    assert scores.tolist() == pytest.approx(plain_bm25(texts, query), rel=1e-4, abs=1e-6)


def plain_bm25(texts: list[list[str]], query: list[str]) -> list[float]:
    """BM25 as it is written in books, with k1 = 1.5 and b = 0.75."""
    documents = [terms(" ".join(text)) for text in texts]
    average = sum(map(len, documents)) / len(documents)

    def added(term: str, document: tuple[str, ...]) -> float:
        holding = sum(term in other for other in documents)
        often = document.count(term)
        if not often:
            return 0.0
        rarity = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        return rarity * often / (often + 1.5 * (1 - 0.75 + 0.75 * len(document) / average))

    return [
        sum(added(term, document) for term in dict.fromkeys(terms(" ".join(query)))) for document in documents
    ]
