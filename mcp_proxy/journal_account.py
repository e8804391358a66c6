"""A task or a call from the journal, told for a person: lines of text. Pure.

What clients and upstreams wrote is shown with everything unseen spelled out, so that it cannot drive the terminal.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from mcp_proxy.journal_records import CallRecord, FeedbackRecord, Record, SpendRecord, StepRecord, TaskRecord
from tool_registry.unseen import spelled_out

_SHOWN_CANDIDATES = 8

_CUT_SHORT = "it is running still, or its process died before it ended; what it called by then:"


def account(
    record: Record, calls: Sequence[CallRecord] = (), feedback: FeedbackRecord | None = None
) -> Iterator[str]:
    """What is known of a task, with the `calls` made for it, or of a call."""
    lines = _task(record, calls) if isinstance(record, TaskRecord) else _call(record)
    yield from map(spelled_out, lines)
    if feedback:
        yield from map(spelled_out, _feedback(feedback))


def as_dict(record: Record | FeedbackRecord) -> dict[str, Any]:
    """A record as JSON, with times in UTC as ISO 8601."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record), default=_text))
    match record:
        case TaskRecord():
            return {"kind": "task", **plain, "cost": record.cost}
        case CallRecord():
            return {"kind": "call", **plain}
        case FeedbackRecord():
            return plain


def local_time(moment: datetime) -> str:
    """A moment on the clock of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _task(task: TaskRecord, calls: Sequence[CallRecord]) -> Iterator[str]:
    yield f"task {task.id}: {task.ending}"
    yield f"  {task.text}"
    if task.reason:
        yield f"  {task.reason}"
    if task.error:
        yield f"  failed: {task.error}"
    who = {"client": task.client, "profile": task.profile, "strategy": task.strategy, "privacy": task.privacy}
    yield f"  {local_time(task.started_at)}, {_pairs(who)}"
    if task.candidates:
        yield "candidates"
        yield from (f"  {each.score:8.2f}  {each.tool}" for each in task.candidates[:_SHOWN_CANDIDATES])
        if len(task.candidates) > _SHOWN_CANDIDATES:
            yield f"            and {len(task.candidates) - _SHOWN_CANDIDATES} more"
    if task.ending == "running":
        yield _CUT_SHORT
        yield from (f"  {call.tool} {_json(call.arguments)}: {call.outcome}" for call in calls)
    for number, step in enumerate(task.steps, 1):
        yield f"step {number}"
        yield from (f"  {line}" for line in _step(step))
    if task.route:
        yield "route"
        yield from (f"  {each}" for each in task.route)
    if task.milliseconds:
        stages = ", ".join(f"{stage} {spent:,.1f} ms" for stage, spent in task.milliseconds.items())
        yield f"took {task.duration_ms or 0:,.1f} ms: {stages}"
    yield from _spends(task.spends)


def _step(step: StepRecord) -> Iterator[str]:
    yield f"{step.tool} {_json(step.arguments)}"
    if step.confidence is not None:
        wanted = f", {step.threshold:.2f} wanted" if step.threshold is not None else ""
        yield f"planned by {step.planner} with confidence {step.confidence:.2f}{wanted}"
    else:
        yield f"planned by {step.planner or 'nobody known'}"
    if step.reason:
        yield f"because {step.reason}"
    yield from (f"put right: {each}" for each in step.repairs)
    yield from (f"wrong: {each}" for each in step.problems)
    if step.missing:
        yield f"missing: {', '.join(step.missing)}"
    yield from _came_of(step)


def _came_of(step: StepRecord) -> Iterator[str]:
    decided = f"{step.decision}: " if step.decision else ""
    if step.outcome is None:
        yield f"{decided}not called"
        return
    answer = (
        f", {step.result_size:,} characters of {step.result_kind}" if step.result_size is not None else ""
    )
    took = f", {step.duration_ms:,.1f} ms" if step.duration_ms is not None else ""
    yield f"{decided}{_OUTCOMES[step.outcome]}{answer}{took}"
    if step.error:
        yield f"error: {step.error}"


_OUTCOMES = {
    "ok": "answered",
    "tool_error": "answered with an error of the tool's",
    "failed": "not answered",
    "cancelled": "given up before it was answered",
}


def _spends(spends: Iterable[SpendRecord]) -> Iterator[str]:
    for each in spends:
        cost = "unknown cost" if each.cost is None else f"${each.cost:.6f}"
        cached = f", {each.cache_write_tokens:,} into and {each.cache_read_tokens:,} from the cache"
        yield f"paid {each.provider} {cost}: {each.input_tokens:,} tokens in, {each.output_tokens:,} out{cached}"


def _call(call: CallRecord) -> Iterator[str]:
    yield f"call {call.id}: {_OUTCOMES[call.outcome]}"
    yield f"  {call.tool} {_json(call.arguments)}"
    took = f", {call.duration_ms:,.1f} ms" if call.duration_ms is not None else ""
    yield f"  {local_time(call.started_at)}, {_pairs({'client': call.client, 'server': call.upstream})}{took}"
    if call.error:
        yield f"  error: {call.error}"
    if call.task_id:
        yield f"  made for task {call.task_id}"


def _feedback(feedback: FeedbackRecord) -> Iterator[str]:
    by = f" by {feedback.client}" if feedback.client else ""
    yield f"feedback: {feedback.verdict}{by}, {local_time(feedback.at)}"
    if feedback.tool:
        yield f"  should have been {feedback.tool} {_json(feedback.arguments)}"
    if feedback.note:
        yield f"  {feedback.note}"


def _pairs(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items() if value)


def _json(arguments: Mapping[str, Any] | None) -> str:
    return json.dumps(arguments or {}, ensure_ascii=False)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
