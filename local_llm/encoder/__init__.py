"""Sentences as vectors: the embedder port, and the small encoder that ships in `model/`.

`embedder` is the port, `shipped` says which files there are, `minilm` is the encoder, `build` made its file.
"""

from local_llm.encoder.embedder import Embedder
from local_llm.encoder.shipped import fingerprint

__all__ = ["Embedder", "fingerprint"]
