"""What the Messages API's refusals mean for whoever asked, and what to do about them. Pure."""

from collections.abc import Mapping

from mcp_proxy.proposals import ErrorKind, ProposalError

_REJECTIONS: Mapping[int, tuple[ErrorKind, str]] = {
    401: ("authentication", "the API key was rejected; check api_key, or create a new key"),
    402: ("billing", "the account cannot pay for the request; check its billing"),
    403: ("authentication", "the API key may not do this; check its workspace and permissions"),
    404: ("model", "the model or the address is unknown; check model and base_url"),
    429: ("rate_limit", "the account's rate limit is reached; try again later, or raise the limit"),
    503: ("overloaded", "the API is overloaded; try again later"),
    529: ("overloaded", "the API is overloaded; try again later"),
}
_STATUS_OF: Mapping[str, int] = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "invalid_request_error": 400,
    "request_too_large": 413,
}
"""What an error that comes in the middle of a reply would have been at its beginning."""

_CLIENT_ERROR = 400
_SERVER_ERROR = 500


def rejected(status: int, retry_after: float | None, detail: str = "") -> ProposalError:
    """The error for a request that was answered with a status of failure, and `detail` in the other side's words."""
    kind, remedy = _verdict(status)
    waiting = f" It asks to wait {retry_after:g} s." if retry_after is not None else ""
    said = f" It said: {detail}" if detail else ""
    return ProposalError(kind, f"HTTP {status}: {remedy}.{waiting}{said}", retry_after=retry_after)


def given_up(error_type: str, detail: str) -> ProposalError:
    """The error for a reply that had begun when the API sent an error of that type."""
    kind, remedy = _verdict(_STATUS_OF.get(error_type, _SERVER_ERROR))
    said = f" It said: {detail}" if detail else ""
    return ProposalError(kind, f"in the middle of the answer: {remedy}.{said}", may_be_billed=True)


def _verdict(status: int) -> tuple[ErrorKind, str]:
    other: tuple[ErrorKind, str] = ("request", "the request was rejected; check the part it names")
    if status < _CLIENT_ERROR:
        other = ("request", "the address leads elsewhere; put into base_url where the API itself is")
    if status >= _SERVER_ERROR:
        other = ("unavailable", "the API failed; try again later")
    return _REJECTIONS.get(status, other)


def seconds(header: str | None) -> float | None:
    """`retry-after` in seconds; None when it is absent, or a date."""
    try:
        return float(header) if header else None
    except ValueError:
        return None
