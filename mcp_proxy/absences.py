"""What whoever looks for a tool in vain has to know: servers that have not said what they offer, and why; tools in quarantine.

Told by the command line, and by the server to its clients.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mcp_proxy.desk import Desk
from mcp_proxy.upstreams import State, Status, UpstreamUnavailableError
from tool_registry import Candidate
from tool_registry.naming import may_have


def absent(desk: Desk) -> tuple[Status, ...]:
    """The upstreams of which it is not known what they offer, as far as the desk's clients might see of it."""
    upstreams = desk.board.upstreams
    unlisted = (upstreams[name].status for name in desk.board.unlisted if name in upstreams)
    return tuple(status for status in unlisted if _may_show(desk, status.upstream))


def why_missing(name: str, desk: Desk) -> UpstreamUnavailableError | None:
    """Why there is no tool of this name, if that is because the upstream it would belong to is not there."""
    unlisted = {status.upstream for status in absent(desk)}
    for owner, upstream in desk.board.upstreams.items():
        settings = desk.board.settings.enabled_upstreams.get(owner)
        if settings is None or not may_have(settings.prefix, name) or not _may_show(desk, owner):
            continue
        status = upstream.status
        if status.state is State.DOWN or owner in unlisted:
            reason = status.reason or "it is still starting"
            return UpstreamUnavailableError(owner, "; ".join(filter(None, (reason, status.outlook))))
    return None


def explanation(desk: Desk, candidates: Sequence[Candidate]) -> str:
    """What may be why none of the tools found would do, in whole sentences; usually empty."""
    sentences = [f"Without the tools of {status.trouble}" for status in absent(desk)]
    if candidates and (why := candidates[0].tool.quarantine):
        sentences.append(f"The tool that fits best cannot be called: {why.removesuffix('.')}")
    return ". ".join(sentences)


def _may_show(desk: Desk, upstream: str) -> bool:
    """Whether a client of the desk may know of an upstream: whether its profile names any of its tools."""
    return any(fnmatchcase(upstream, pattern.partition("/")[0]) for pattern in desk.allowed)
