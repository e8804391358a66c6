"""What a call may come to instead of a result, as a result that the client's model can act on."""

import structlog

from mcp_proxy.desk import InvalidArgumentsError, QuarantinedError
from mcp_proxy.paused import UnknownPausedTaskError
from mcp_proxy.results import error_result, invalid_arguments, unavailable
from mcp_proxy.upstreams import UpstreamUnavailableError
from tool_registry import UnusableSchemaError

log = structlog.stdlib.get_logger()


def failure(error: Exception, name: str) -> dict[str, object]:
    """Why the call of tool `name` came to nothing."""
    match error:
        case InvalidArgumentsError():
            return invalid_arguments(error.tool, error.problems)
        case QuarantinedError():
            return error_result(f"{error}. Nothing was called.")
        case UnusableSchemaError():
            return error_result(
                f"{name} cannot be called: its inputSchema is unusable ({error}). Tell its author."
            )
        case UpstreamUnavailableError():
            return unavailable(name, error)
        case UnknownPausedTaskError():
            return error_result(f"{error}. Nothing was done.")
        case _:
            log.error("call.bug", tool=name, exc_info=error)
            return error_result(f"{name}: a fault inside Switchboard; the details are in its log on stderr.")
