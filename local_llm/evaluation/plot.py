"""Draws how well confidences hold: a reliability diagram, and precision over coverage. Needs the extra `eval`."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from local_llm.evaluation.metrics import Reliability

PICTURES = (".svg", ".png")
"""What a picture's file name may end in."""

_SIZE = (10.0, 4.5)
_FEW = 0.005
"""Share of all records below which a precision is not drawn: of a handful it says nothing."""


class PlottingUnavailableError(Exception):
    """Matplotlib is not installed."""

    def __init__(self) -> None:
        super().__init__("plots need matplotlib: pip install 'mcp-switchboard[eval]', or leave --plot out")


def plotting() -> Any:
    """The drawing library.

    Raises:
        PlottingUnavailableError: it is not installed.
    """
    try:
        matplotlib: Any = import_module("matplotlib")
        figure: Any = import_module("matplotlib.figure")
    except ImportError as error:
        raise PlottingUnavailableError from error
    # The same figures give the same file, byte by byte; text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "switchboard", "svg.fonttype": "none"})
    return figure


def draw(file: Path, planners: Mapping[str, Reliability | None]) -> None:
    """Draw the planners that have confidences into `file`.

    Raises:
        PlottingUnavailableError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    figure: Any = plotting().Figure(figsize=_SIZE, layout="constrained")
    held, covered = figure.subplots(1, 2)
    held.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
    for planner, reliability in planners.items():
        if reliability:
            held.plot(
                [one.confidence for one in reliability.bins],
                [one.right for one in reliability.bins],
                marker="o",
                label=f"{planner}, ECE {reliability.ece:.3f}",
            )
            points = [point for point in reliability.curve if point.coverage >= _FEW]
            covered.plot(
                [point.coverage for point in points], [point.precision for point in points], label=planner
            )
    held.set(title="Reliability", xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    covered.set(
        title="Precision by coverage",
        xlabel="share of all records acted on",
        ylabel="share right",
        ylim=(0, 1),
    )
    for axes in (held, covered):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right")
        axes.grid(visible=True, linewidth=0.3)
    metadata = {"Date": None} if file.suffix.lower() == ".svg" else {}
    figure.savefig(file, metadata=metadata)
