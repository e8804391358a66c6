"""The record of the scan is what the scan does today, as far as it can be measured from this repository."""

import json
from collections import Counter

from benchmarks import scan


def test_the_record_says_what_the_scan_makes_of_the_attacks() -> None:
    record = scan.load()
    cases = json.loads(scan.ATTACKS.read_text(encoding="utf-8"))
    assert record.design == scan.found(case for case in cases if not scan.is_held_out(case))
    assert record.held_out == scan.found(case for case in cases if scan.is_held_out(case))


def test_the_record_says_what_the_scan_makes_of_the_real_catalogs() -> None:
    assert scan.load().harmless[0] == scan.harmless("catalogs", scan.catalogs(), together=True)


def test_every_attack_has_a_name_of_its_own_and_a_known_kind() -> None:
    cases = json.loads(scan.ATTACKS.read_text(encoding="utf-8"))
    assert max(Counter(case["id"] for case in cases).values()) == 1
    assert {case["kind"] for case in cases} == {kind.value for kind in scan.Kind}
