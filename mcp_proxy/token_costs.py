"""What the tool definitions cost a model that is handed them: by server, and for each exposure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from mcp_proxy.render import print_json, print_rows
from mcp_proxy.tools import Tools
from tool_registry import ToolEntry
from tool_registry.exposure import Exposure, definition_tokens


@dataclass(frozen=True, slots=True)
class TokenCosts:
    """Estimated tokens of definitions."""

    servers: dict[str, int]
    """Of all tools of each server."""
    exposures: dict[str, int]
    """Of what a client with each exposure is shown, Switchboard's own tools included."""
    tools: dict[str, int]
    """How many tools a client with each exposure is shown."""


def token_costs(tools: Iterable[ToolEntry], shown: Tools) -> TokenCosts:
    """What `tools` cost by server, and what clients are `shown` costs by exposure."""
    servers: Counter[str] = Counter()
    for tool in tools:
        servers[tool.upstream] += definition_tokens([tool.listed()])
    lists = {exposure.value: list(shown.shown(exposure)) for exposure in Exposure}
    return TokenCosts(
        dict(servers),
        {name: definition_tokens(definitions) for name, definitions in lists.items()},
        {name: len(definitions) for name, definitions in lists.items()},
    )


def show_token_costs(costs: TokenCosts, *, as_json: bool) -> None:
    """Print them."""
    if as_json:
        print_json(asdict(costs))
        return
    print_rows("Tokens by server (estimated)", ("server", "tokens"), costs.servers.items())
    rows = [
        (name, costs.tools[name], tokens, f"{1 - tokens / (costs.exposures['all'] or 1):.1%}")
        for name, tokens in costs.exposures.items()
    ]
    print_rows("Tokens by exposure", ("expose", "tools shown", "tokens", "saved"), rows)
