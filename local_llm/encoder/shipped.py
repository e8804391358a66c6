"""The files of the encoder that ships. Nothing is loaded to know them."""

from pathlib import Path

FOLDER = Path(__file__).parent / "model"
MODEL, TOKENIZER, SUMS = "minilm-l6-int8.onnx", "tokenizer.json", "SHA256SUMS"


def fingerprint(folder: Path = FOLDER) -> str:
    """The SHA-256 of the model's file, as noted beside it when it was built.

    Raises:
        OSError: the files are not there: the installation is damaged.
    """
    lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    return next(line.split()[0] for line in lines if line.endswith(MODEL))
