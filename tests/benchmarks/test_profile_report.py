"""The profile is made of a real server, and its table says what the record holds."""

from pathlib import Path

from benchmarks.profile_call import measure
from benchmarks.profile_report import STEPS, Profile, load, save, table


async def test_every_step_of_a_call_is_timed(tmp_path: Path) -> None:
    profile = await measure(calls=20)
    assert set(profile.steps_us) == set(STEPS)
    assert all(took > 0 for took in profile.steps_us.values())
    assert sum(profile.steps_us.values()) < profile.through_us
    save(profile, tmp_path / "profile.json")
    assert load(tmp_path / "profile.json") == profile


def test_the_table_gives_every_step_and_the_rest() -> None:
    profile = Profile("2026-11-21", "3.11.7", "Linux", 0.1, 10, 100, 300, 150, dict.fromkeys(STEPS, 10.0))
    rows = table(profile).splitlines()
    assert len(rows) == 2 + len(STEPS) + 4
    assert rows[2:4] == ["| split what was read into lines | 10 |", "| parse the call and the answer | 10 |"]
    assert rows[-4] == "| the event loop, and reading from the pipes | 60 |"
    assert rows[-1] == "| **as the client sees it** | 300 |"
