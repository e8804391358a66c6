"""The port behind which texts become vectors."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # Whoever only names the port need not load it.
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Whoever can put what a text means into numbers."""

    def embed(self, text: str) -> "NDArray[np.floating[Any]]":
        """The unit vector of `text`, of shape (dimensions,), whatever the text. May be called from several threads."""
        ...
