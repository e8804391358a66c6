"""The sentence encoder that ships with the package: all-MiniLM-L6-v2 with 8-bit weights, on onnxruntime.

Everything is loaded on first use, and stays on this machine.
"""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from local_llm.encoder.shipped import FOLDER, MODEL, TOKENIZER

WIDTH = 384
"""Dimensions of a vector."""
LONGEST = 256
"""Tokens that are read of a text; the model was trained on no more."""
_LONGEST_TEXT = 8 * LONGEST
"""Characters that are tokenised."""


class MiniLm:
    """An `Embedder` in a few milliseconds a text, on one core.

    Each text is embedded by itself: the 8-bit arithmetic scales itself to what it is given, so that in a batch a
    text's vector would depend on its neighbours.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def embed(self, text: str) -> NDArray[np.float32]:
        """The unit vector of `text`, float32 of shape (384,). A long text counts by its beginning."""
        # A lone surrogate, which JSON can smuggle in, is no text to the tokenizer.
        legible = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
        ids = np.array([self._tokenizer.encode(legible).ids], np.int64)
        return cast("NDArray[np.float32]", self._session.run(["vector"], {"ids": ids})[0][0])

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415  not loaded by whoever never searches

        tokenizer = cast("Any", Tokenizer).from_file(str(self._folder / TOKENIZER))
        tokenizer.enable_truncation(LONGEST)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        # Read when the library is loaded: nothing is to leave the machine.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime  # noqa: PLC0415

        runtime = cast("Any", onnxruntime)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        return runtime.InferenceSession(self._folder / MODEL, options, providers=["CPUExecutionProvider"])
