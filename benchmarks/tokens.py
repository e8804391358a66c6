"""How far the estimate of tokens is from real tokenizers, by kind of text.

    npm install --no-save --prefix /tmp/tokenizers gpt-tokenizer@4 @anthropic-ai/tokenizer@0.0.4 llama3-tokenizer-js@1
    python -m benchmarks.tokens --tokenizers /tmp/tokenizers [--fit]

Writes results/tokens.json: of every sample its kind, its counts by class of characters, and its tokens, but
not its text. `--fit` prints the weights that fit best, which are then rounded into tool_registry/tokens.py.
"""

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from statistics import mean, median

import numpy as np
from pydantic import TypeAdapter

from benchmarks.token_samples import samples
from tool_registry.tokens import CLASSES, counts

RECORD = Path(__file__).parent / "results" / "tokens.json"

_LEAST = {"punctuation": 0.2, "spaces": 0.03}
"""Weights that a fit to ordinary texts would put too low for odd ones."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A sample, counted."""

    kind: str
    characters: int
    classes: Mapping[str, int]
    tokens: Mapping[str, int]
    """By tokenizer."""

    @property
    def true(self) -> float:
        """The geometric mean of the tokenizers."""
        return exp(mean(map(log, self.tokens.values())))

    @property
    def estimated(self) -> float:
        return sum(CLASSES[name][1] * count for name, count in self.classes.items())


_ADAPTER = TypeAdapter(list[Counted])


def load() -> list[Counted]:
    return _ADAPTER.validate_json(RECORD.read_bytes())


def errors(counted: Sequence[Counted]) -> dict[str, float]:
    """By kind, the mean error of the estimate as a share of the true count; negative is too low."""
    kinds = dict.fromkeys(each.kind for each in counted)
    return {
        kind: mean(each.estimated / each.true - 1 for each in counted if each.kind == kind) for kind in kinds
    }


def by_characters(counted: Sequence[Counted]) -> dict[str, float]:
    """`errors` of the usual rule, four characters to a token."""
    kinds = dict.fromkeys(each.kind for each in counted)
    return {
        kind: mean(each.characters / 4 / each.true - 1 for each in counted if each.kind == kind)
        for kind in kinds
    }


def claim(counted: Sequence[Counted]) -> str:
    """What the documentation says of it."""
    ours, plain = errors(counted), by_characters(counted)
    figures = [(median(map(abs, each.values())), max(map(abs, each.values()))) for each in (ours, plain)]
    (middle, worst), (plain_middle, plain_worst) = figures
    return (
        f"{middle:.0%} off in the median of {len(ours)} kinds of text and {worst:.0%} at worst "
        f"(characters divided by four: {plain_middle:.0%} and {plain_worst:.0%})"
    )


def fit(counted: Sequence[Counted]) -> dict[str, float]:
    """Weights with the least square of relative errors, each kind counting alike; none below `_LEAST`."""
    least = np.array([_LEAST.get(name, 0.0) for name in CLASSES])
    kinds = [each.kind for each in counted]
    share = np.array([kinds.count(kind) ** -0.5 for kind in kinds])
    rows = (
        np.array([[each.classes[name] / each.true for name in CLASSES] for each in counted]) * share[:, None]
    )
    weights, step = np.full(len(CLASSES), 0.3), float(np.linalg.norm(rows.T @ rows, 2))
    for _ in range(200_000):
        weights = np.maximum(least, weights - rows.T @ (rows @ weights - share) / step)
    return dict(zip(CLASSES, map(float, weights.round(2)), strict=True))


def measure(tokenizers: Path) -> list[Counted]:
    taken = list(samples())
    script = Path(__file__).parent / "count_tokens.mjs"
    given = json.dumps([text for _, text in taken])
    done = subprocess.run(
        ["node", script], input=given, cwd=tokenizers, capture_output=True, text=True, check=True
    )
    return [
        Counted(kind, len(text), counts(text), tokens)
        for (kind, text), tokens in zip(taken, json.loads(done.stdout), strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tokens")
    parser.add_argument("--tokenizers", type=Path, required=True)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    counted = measure(options.tokenizers)
    if options.fit:
        print(fit(counted))
    RECORD.write_bytes(_ADAPTER.dump_json(counted, indent=1) + b"\n")
    for kind, error in errors(counted).items():
        print(f"{kind:20} {error:+.0%}")
    print(claim(counted))


if __name__ == "__main__":
    main()
