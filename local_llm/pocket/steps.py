"""How far a task has come: which of its clauses is to be planned next, and with which text to look for tools."""

from dataclasses import dataclass

from local_llm.plan import Step, Task
from local_llm.pocket.clauses import clauses
from local_llm.pocket.earlier import context_words


@dataclass(frozen=True, slots=True)
class NextStep:
    """The clause that comes next."""

    text: str
    before: str
    """The clauses before it, as written: a server named there may be meant here."""
    done: tuple[Step, ...]
    """The successful calls so far, oldest first."""
    index: int
    count: int

    @property
    def last(self) -> bool:
        return self.index + 1 == self.count

    def numbered(self, reason: str) -> str:
        """`reason` with the number of the step before it, where there are several."""
        return reason if self.count == 1 else f"step {self.index + 1} of {self.count}: {reason}"


def next_step(task: Task) -> NextStep | None:
    """The clause of `task` that comes next: each successful step counts one off. None when all are done."""
    parts = clauses(task.text)
    done = tuple(step for step in task.steps if not step.failed)
    if len(done) >= len(parts):
        return None
    index = len(done)
    return NextStep(parts[index], " ".join(parts[:index]), done, index, len(parts))


def next_request(task: Task) -> str:
    """The text to retrieve tools with for the step of `task` that comes next; the whole text when none does.

    A step that says "it" where a noun would tell tools apart is lent the words of the tool before it, and a
    step that names no server those of the clauses that may have named one.
    """
    step = next_step(task)
    if step is None or step.count == 1:
        return task.text
    lent = context_words(step.text, step.done)
    return " ".join((step.text, *sorted(lent)))
