"""The catalog: a value built from offers, in which every tool has one name."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tool_registry import Catalog, Offer


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def test_an_offer_makes_a_new_catalog_and_leaves_the_old_one_alone() -> None:
    empty = Catalog()
    one = empty.with_offer(Offer("notes", "notes", tools=(tool("add"),)))
    assert list(empty.tools) == []
    assert list(one.tools) == ["notes__add"]


def test_order_is_that_of_the_upstreams_then_that_of_their_lists() -> None:
    catalog = Catalog((Offer("b", "b"), Offer("a", "a", tools=(tool("z"), tool("y")))))
    catalog = catalog.with_offer(Offer("b", "b", tools=(tool("x"),)))
    assert list(catalog.tools) == ["b__x", "a__z", "a__y"]


def test_a_definition_travels_unchanged_but_for_its_name() -> None:
    definition = tool(
        "add", title="Add", annotations={"readOnlyHint": True}, _meta={"vendor/x": 1}, vendorKey=[1]
    )
    entry = Catalog((Offer("notes", "notes", tools=(definition,)),)).tools["notes__add"]
    assert entry.listed() == {**definition, "name": "notes__add"}
    assert (entry.upstream, entry.name, entry.title) == ("notes", "add", "Add")


def test_the_same_name_twice_in_one_upstream_counts_once_and_is_reported() -> None:
    catalog = Catalog((Offer("a", "a", tools=(tool("x", title="first"), tool("x", title="second"))),))
    assert [entry.title for entry in catalog.tools.values()] == ["first"]
    assert [str(problem) for problem in catalog.problems] == ["a: x: listed twice in tools; the first counts"]


def test_names_that_would_meet_across_upstreams_are_told_apart() -> None:
    catalog = Catalog((Offer("one", "a__b", tools=(tool("c"),)), Offer("two", "a", tools=(tool("b__c"),))))
    assert len(catalog.tools) == 2
    assert {entry.upstream for entry in catalog.tools.values()} == {"one", "two"}


def test_a_resource_two_upstreams_list_is_answered_by_the_first_and_reported() -> None:
    shared = {"uri": "file:///a", "name": "a"}
    catalog = Catalog((Offer("one", "one", resources=(shared,)), Offer("two", "two", resources=(shared,))))
    assert catalog.owner_of("file:///a") == "one"
    assert [problem.upstream for problem in catalog.problems] == ["two"]


def test_a_template_answers_for_the_uris_it_describes() -> None:
    template = {"uriTemplate": "note://{id}/part/{n}", "name": "note"}
    catalog = Catalog((Offer("notes", "notes", templates=(template,)),))
    assert catalog.owner_of("note://7/part/2") == "notes"
    assert catalog.owner_of("note://7") is None


def test_a_definition_without_a_name_is_left_out_and_reported() -> None:
    catalog = Catalog((Offer("a", "a", tools=({"inputSchema": {}}, tool("fine"))),))
    assert list(catalog.tools) == ["a__fine"]
    assert len(catalog.problems) == 1


def offer_of(upstream: str, names: list[str]) -> Offer:
    return Offer(upstream, upstream, tools=tuple(tool(name) for name in names))


offers = st.lists(
    st.builds(
        offer_of,
        st.sampled_from(["a", "a_", "a__b", "b", "c"]),
        st.lists(st.text(alphabet="ab_", min_size=1, max_size=5), max_size=6),
    ),
    max_size=5,
    unique_by=lambda offer: offer.upstream,
)


@given(offers)
def test_every_tool_of_every_upstream_can_be_reached_by_exactly_one_name(given_offers: list[Offer]) -> None:
    catalog = Catalog(tuple(given_offers))
    wanted = {(offer.upstream, definition["name"]) for offer in given_offers for definition in offer.tools}
    reached = [(entry.upstream, entry.name) for entry in catalog.tools.values()]
    assert sorted(reached) == sorted(wanted)
    assert all(name == entry.qualified for name, entry in catalog.tools.items())
