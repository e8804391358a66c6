"""Profiles: what a client sees, and what its calls become."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tool_registry import Catalog, Offer
from tool_registry.profiles import Profile, ToolOverride, unmatched_in, view


def tool(name: str, read_only: bool | None = None, **properties: Any) -> dict[str, Any]:
    required = [key for key, schema in properties.items() if "default" not in schema]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    hints = {} if read_only is None else {"annotations": {"readOnlyHint": read_only}}
    return {"name": name, "description": f"to {name}", "inputSchema": schema, **hints}


STRING = {"type": "string"}
CATALOG = Catalog(
    (
        Offer(
            "github",
            "github",
            tools=(
                tool("create_issue", False, repo=STRING, title=STRING, priority={"enum": ["low", "high"]}),
                tool("list_issues", True, repo=STRING),
                tool("delete_repo", repo=STRING),
            ),
            prompts=({"name": "triage"},),
            resources=({"uri": "repo://acme/shop", "name": "shop"},),
        ),
        Offer("files", "files", tools=(tool("read", True, path=STRING), tool("write", False, path=STRING))),
    )
)


@pytest.mark.parametrize(
    ("profile", "seen"),
    [
        (None, ["create_issue", "list_issues", "delete_repo", "read", "write"]),
        (Profile(), ["create_issue", "list_issues", "delete_repo", "read", "write"]),
        (Profile(allow=("github/*",)), ["create_issue", "list_issues", "delete_repo"]),
        (Profile(deny=("*/delete_*", "files/write")), ["create_issue", "list_issues", "read"]),
        (Profile(allow=()), []),
        (Profile(read_only=True), ["list_issues", "read"]),
        (Profile(allow=("files/*",), read_only=True), ["read"]),
    ],
)
def test_a_profile_shows_what_its_patterns_and_the_annotations_let_through(
    profile: Profile | None, seen: list[str]
) -> None:
    assert [entry.name for entry in view(CATALOG, profile).tools.values()] == seen


def test_prompts_and_resources_follow_the_same_patterns() -> None:
    shown = view(CATALOG, Profile(allow=("files/*", "github/repo:*")))
    assert list(shown.prompts) == []
    assert shown.owner_of("repo://acme/shop") == "github"
    assert view(CATALOG, Profile(deny=("github/*",))).owner_of("repo://acme/shop") is None


def rewritten(override: ToolOverride, place: str = "github/create_issue") -> Any:
    shown = view(CATALOG, Profile(tools={place: override}))
    return shown, next(entry for entry in shown.tools.values() if f"{entry.upstream}/{entry.name}" == place)


def test_a_renamed_tool_is_found_by_its_new_name_alone_and_called_by_its_own() -> None:
    shown, issue = rewritten(ToolOverride(name="new_issue", description="Report a fault."))
    assert "github__create_issue" not in shown.tools
    assert shown.tools["new_issue"] is issue
    assert (issue.name, issue.description) == ("create_issue", "Report a fault.")


@pytest.mark.parametrize("name", ["files__read", "github__create_issue ", "", "x" * 47, "schön"])
def test_a_name_that_cannot_be_had_leaves_the_old_one_and_is_reported(name: str) -> None:
    shown, issue = rewritten(ToolOverride(name=name))
    assert issue.qualified == "github__create_issue"
    assert len(shown.tools) == len(CATALOG.tools)
    assert bool(shown.problems) == bool(name)


def test_a_hidden_argument_is_gone_from_the_schema_and_given_upstream() -> None:
    _, issue = rewritten(ToolOverride(hidden={"repo": "acme/shop"}))
    assert "repo" not in issue.parameters
    assert not issue.check({"title": "x", "priority": "low"})
    assert issue.check({"title": "x", "priority": "low", "repo": "evil/fork"})
    assert issue.completed({"title": "x"}) == {"title": "x", "repo": "acme/shop"}


def test_a_fixed_argument_may_be_left_out_or_repeated_but_not_changed() -> None:
    _, issue = rewritten(ToolOverride(fixed={"repo": "acme/shop"}))
    assert issue.parameters["repo"] == {"type": "string", "const": "acme/shop", "default": "acme/shop"}
    assert not issue.check({"title": "x", "priority": "low"})
    assert not issue.check({"title": "x", "priority": "low", "repo": "acme/shop"})
    assert issue.check({"title": "x", "priority": "low", "repo": "evil/fork"})


def test_arguments_the_tool_would_not_take_are_reported() -> None:
    shown, _ = rewritten(ToolOverride(hidden={"repo": 7}, fixed={"nosuch": "x"}))
    assert [problem.name for problem in shown.problems] == ["create_issue"] * len(shown.problems)
    said = " ".join(problem.message for problem in shown.problems)
    assert "/repo" in said
    assert "/nosuch: the tool has no such parameter" in said


def test_the_catalog_itself_is_left_alone() -> None:
    before = CATALOG.tools["github__create_issue"].listed()
    rewritten(ToolOverride(hidden={"repo": "acme/shop"}, description="other"))
    assert CATALOG.tools["github__create_issue"].listed() == before


def test_what_matches_nothing_is_named() -> None:
    profile = Profile(
        allow=("github/*", "gitlab/*"), deny=("*",), tools={"files/nosuch": ToolOverride(name="x")}
    )
    assert unmatched_in(CATALOG, profile) == ["gitlab/*", "files/nosuch"]


@pytest.mark.parametrize(
    ("pattern", "judged"),
    [
        ("later/*", False),
        ("l*", False),
        ("*/delete_everything", False),
        ("[kl]*/x", False),
        ("gitlab/*", True),
    ],
)
def test_what_an_upstream_may_have_that_was_never_listed_is_not_judged(pattern: str, judged: bool) -> None:
    assert unmatched_in(CATALOG, Profile(allow=(pattern,)), ["later"]) == [pattern] * judged


NAMES = st.sampled_from(["a", "b", "files__read", "github__list_issues", "new", "", "bad name", "x" * 60])


@given(st.dictionaries(st.sampled_from(["github/create_issue", "github/list_issues", "files/read"]), NAMES))
def test_renaming_loses_no_tool_and_gives_no_name_twice(names: dict[str, str]) -> None:
    profile = Profile(tools={place: ToolOverride(name=name or None) for place, name in names.items()})
    shown = view(CATALOG, profile).tools
    assert sorted((t.upstream, t.name) for t in shown.values()) == sorted(
        (t.upstream, t.name) for t in CATALOG.tools.values()
    )
    assert all(name == entry.qualified for name, entry in shown.items())
