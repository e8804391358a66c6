"""A tool's result cut to a number of tokens: what of it the client is shown, and what is said about the rest. Pure.

Text counts, and so do embedded resources that are text. Images, audio, links and binary resources are handed
on whole and count nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from mcp_proxy.kept_results import Document
from tool_registry import ToolEntry, UnusableSchemaError
from tool_registry.cutting import excerpt
from tool_registry.json_excerpt import Shortened, json_excerpt, json_text
from tool_registry.reading import line_count
from tool_registry.tokens import estimate_tokens

MAX_CHARACTERS_META = "anthropic/maxResultSizeChars"
"""In a tool's `_meta`: how long a result of it may be. Claude Code passes as much on, up to `_MOST_CHARACTERS`."""

_MOST_CHARACTERS = 500_000

_LONGEST_PARSED = 16 * 1024 * 1024
"""Characters of JSON text up to which it is cut by its elements; a longer one is cut like any text."""

Block = dict[str, Any]
Result = dict[str, Any]


def texts_of(result: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a result that counts."""
    for block in result.get("content") or ():
        if (text := _text(block)) is not None:
            yield text


def size_of(result: Mapping[str, Any]) -> int:
    """A number of characters that a result is not far from having."""
    structured = result.get("structuredContent")
    return max(sum(map(len, texts_of(result))), 0 if structured is None else len(orjson.dumps(structured)))


def is_within(result: Mapping[str, Any], tokens: int, tool: ToolEntry) -> bool:
    """Whether a result is short enough as it is: its text, and what it holds as `structuredContent`."""
    texts = list(texts_of(result))
    allowed = _characters_allowed(tool)
    if sum(map(len, texts)) > allowed and sum(map(estimate_tokens, texts)) > tokens:
        return False
    structured = _structured(result)
    return len(structured) <= max(tokens, allowed) or estimate_tokens(structured) <= tokens


@dataclass(frozen=True, slots=True)
class LongResult:
    """A result that is too long, taken apart."""

    result: Mapping[str, Any]
    document: Document
    """What is to be kept of it."""
    json: Any
    """Its one text read as JSON, where pointers into the document lead to the same; else None."""

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "LongResult":
        texts = list(texts_of(result))
        whole = "\n".join(texts)
        structured = _structured(result)
        parsed = _json(whole) if len(texts) == 1 else None
        if parsed is not None and structured and parsed != result["structuredContent"]:
            parsed = None
        elif parsed is not None:
            structured = b""
        text = whole.encode("utf-8", "replace") or orjson.dumps(
            result.get("structuredContent"), option=orjson.OPT_INDENT_2
        )
        return cls(result, Document(text, structured), parsed)

    def cut(self, tokens: int, *, fits: Callable[[Any], bool], keeps: bool) -> "CutResult":
        """The result within `tokens`.

        What `structuredContent` repeats of a text that is cut is cut with it, where that still fits.

        Args:
            tokens: how much text is shown.
            fits: says whether a shortened `structuredContent` still fits its schema.
            keeps: leave a longer `structuredContent` as it is, but for such a repetition.
        """
        result = dict(self.result)
        notes: list[str] = []
        result["content"], onward = self._content(tokens, notes)
        structured = result.get("structuredContent")
        if structured is None or estimate_tokens(_structured(result)) <= tokens:
            return CutResult(result, tuple(notes), onward)
        repeating = _with_text_cut(structured, self.result, result)
        if repeating != structured and fits(repeating):
            result["structuredContent"] = repeating
        if not keeps and estimate_tokens(_structured(result)) > tokens:
            shorter = json_excerpt(structured, tokens, marked=False)
            result["structuredContent"] = shorter.value if shorter and fits(shorter.value) else None
        if result["structuredContent"] is None:
            del result["structuredContent"]
            notes.append("structuredContent is left out")
        elif result["structuredContent"] is not structured:
            notes.append("structuredContent is shortened")
        return CutResult(result, tuple(notes), onward)

    def _content(self, tokens: int, notes: list[str]) -> tuple[list[Block], Mapping[str, Any]]:
        blocks = cast("list[Block]", list(self.result.get("content") or ()))
        if not any(_text(block) for block in blocks):
            shown = excerpt(self.document.text.decode("utf-8", "replace"), tokens)
            return [*blocks, {"type": "text", "text": shown.text}], {"pointer": ""}
        if self.json is not None and (cut := self._by_elements(tokens, notes)) is not None:
            text, places = cut
            onward = {"pointer": places[0].pointer, "offset": places[0].shown} if places else {}
            return [block if _text(block) is None else _with_text(block, text) for block in blocks], onward
        return self._by_blocks(blocks, tokens, notes)

    def _by_elements(self, tokens: int, notes: list[str]) -> tuple[str, tuple[Shortened, ...]] | None:
        """The JSON text with its lists, objects and strings shortened."""
        original = next(texts_of(self.result))
        indented = "\n" in original.strip()
        shortened = json_excerpt(self.json, tokens, indented=indented)
        if shortened is None:
            return None
        if shortened.shortened:
            notes.append(f"shown of its JSON: {'; '.join(map(str, shortened.shortened))}")
        return json_text(shortened.value, indented=indented), shortened.shortened

    def _by_blocks(
        self, blocks: list[Block], tokens: int, notes: list[str]
    ) -> tuple[list[Block], Mapping[str, Any]]:
        """The text blocks in their order, until the budget is spent; whatever is no text stays."""
        shown: list[Block] = []
        offset, end = 0, None
        for block in blocks:
            text = _text(block)
            if text is None:
                shown.append(block)
            elif end is None:
                cut = excerpt(text, tokens)
                tokens -= estimate_tokens(cut.text)
                shown.append(block if cut.end == len(text) else _with_text(block, cut.text))
                if cut.end < len(text):
                    end = offset + len(text[: cut.end].encode("utf-8", "replace"))
                offset += len(text.encode("utf-8", "replace")) + 1
        if end is None:
            return shown, {}
        lines = self.document.text[: end - 1].count(b"\n") + 1
        total = len(self.document.text)
        notes.append(
            f"shown: bytes 0 to {end:,} of {total:,}, lines 1 to {lines:,} of {line_count(self.document.text):,}"
        )
        return shown, {"offset": end}


@dataclass(frozen=True, slots=True)
class CutResult:
    """A result within its budget."""

    result: Result
    notes: tuple[str, ...]
    """What is shown, and what is not."""
    onward: Mapping[str, Any]
    """Arguments of `read_result`, beside the handle, that lead on; empty when all text is shown."""

    def told(self, handle: str, tool: str, tokens: int, hours: float) -> Result:
        """The result with a last block that says what is missing and how to read it."""
        arguments = json.dumps({"handle": handle, **(self.onward or {"pointer": ""})}, ensure_ascii=False)
        note = (
            f"[switchboard] This is a part of a result of about {tokens:,} tokens; {'; '.join(self.notes)}. "
            f"All of it is kept for {hours:g} h. To read on, call {tool} with {arguments}; instead of that place "
            'it takes "line", "search" (text to find) or "pointer" (JSON Pointer) too.'
        )
        content = [*self.result["content"], {"type": "text", "text": note}]
        given: Mapping[str, Any] = self.result.get("_meta") or {}
        kept = {"handle": handle, "tokens": tokens}
        return {**self.result, "content": content, "_meta": {**given, "switchboard/kept": kept}}


def fits_schema(tool: ToolEntry) -> Callable[[Any], bool]:
    """Whether a value fits a tool's outputSchema; nothing fits where there is none, or an unusable one."""

    def fits(value: Any) -> bool:
        try:
            return tool.output_schema is not None and not tool.output_problems(value)
        except UnusableSchemaError:
            return False

    return fits


def _characters_allowed(tool: ToolEntry) -> int:
    meta = tool.definition.get("_meta")
    wanted = cast("Mapping[str, Any]", meta).get(MAX_CHARACTERS_META) if isinstance(meta, Mapping) else None
    return min(wanted, _MOST_CHARACTERS) if isinstance(wanted, int) and not isinstance(wanted, bool) else 0


def _structured(result: Mapping[str, Any]) -> bytes:
    structured = result.get("structuredContent")
    return b"" if structured is None else orjson.dumps(structured)


def _json(text: str) -> Any:
    """The object or list that a text is; None for any other text."""
    if len(text) > _LONGEST_PARSED or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _with_text_cut(structured: Any, whole: Mapping[str, Any], cut: Mapping[str, Any]) -> Any:
    """`structured` with the member that is the text which was cut as short as that text is now.

    Servers wrap a text so, to have something structured: {"result": text}.
    """
    # All blocks before the one that was cut are there, so that it stands where it stood.
    blocks = zip(whole.get("content") or (), cut["content"], strict=False)
    pairs = ((_text(before), _text(after)) for before, after in blocks)
    text, shown = next((pair for pair in pairs if pair[0] != pair[1]), (None, None))
    if text is None or not isinstance(structured, Mapping):
        return structured
    members = cast("Mapping[str, Any]", structured)
    return {name: shown if value == text else value for name, value in members.items()}


def _text(block: Any) -> str | None:
    """A block's text, if it has one that counts."""
    if not isinstance(block, Mapping):
        return None
    block = cast("Mapping[str, Any]", block)
    if block.get("type") == "resource" and isinstance(block.get("resource"), Mapping):
        block = block["resource"]
    elif block.get("type") != "text":
        return None
    text = block.get("text")
    return text if isinstance(text, str) else None


def _with_text(block: Block, text: str) -> Block:
    if block.get("type") == "resource":
        return {**block, "resource": {**block["resource"], "text": text}}
    return {**block, "text": text}
