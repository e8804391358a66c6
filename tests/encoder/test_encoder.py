"""The encoder that ships: what it is, and that it takes any text."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from local_llm.encoder import fingerprint
from local_llm.encoder.minilm import WIDTH, MiniLm
from local_llm.encoder.shipped import FOLDER, MODEL, SUMS, TOKENIZER

ENCODER = MiniLm()
LARGEST = 25_000_000


def nearness(one: str, other: str) -> float:
    return float(ENCODER.embed(one) @ ENCODER.embed(other))


def test_the_files_are_those_that_were_built_and_small_enough_to_ship() -> None:
    noted = {name: digest for digest, name in map(str.split, (FOLDER / SUMS).read_text().splitlines())}
    assert noted == {name: sha256((FOLDER / name).read_bytes()).hexdigest() for name in (MODEL, TOKENIZER)}
    assert fingerprint() == noted[MODEL]
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST


def test_licence_and_origin_ship_with_the_model() -> None:
    assert "Apache License" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "all-MiniLM-L6-v2" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_texts_that_mean_the_like_are_near_and_others_are_not() -> None:
    assert nearness("erase a memo", "delete a note") > 0.5
    assert nearness("what time is it in Tokyo", "current time in a timezone") > 0.3
    assert nearness("erase a memo", "convert miles to kilometres") < 0.2


@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "\ud800", "🍕", "获取当前时间", "word " * 50_000, "a" * 100_000, "[SEP][CLS][MASK]"],
)
def test_any_text_has_a_vector_of_length_one(text: str) -> None:
    vector = ENCODER.embed(text)
    assert vector.shape == (WIDTH,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)


def test_a_long_text_counts_by_its_beginning() -> None:
    beginning = "list the files of a folder and their sizes, " * 60
    assert (ENCODER.embed(beginning) == ENCODER.embed(beginning + "send an e-mail")).all()


def test_a_vector_depends_on_its_text_alone_whatever_else_is_embedded_meanwhile() -> None:
    texts = [f"task number {number} " + "and more " * (number % 7) for number in range(40)]
    alone = [ENCODER.embed(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(MiniLm().embed, texts))
    assert all((one == other).all() for one, other in zip(alone, at_once, strict=True))


def test_a_damaged_model_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / TOKENIZER).write_bytes((FOLDER / TOKENIZER).read_bytes())
    (tmp_path / MODEL).write_bytes(b"not a model")
    with pytest.raises(Exception, match=MODEL):
        MiniLm(tmp_path).embed("text")
