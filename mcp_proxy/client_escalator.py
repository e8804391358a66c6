"""Escalation to the client's own model, through sampling, in either protocol era. It costs nothing here.

Knows nothing of budgets or keys; the client asks its user as it sees fit.
"""

import json
from collections.abc import Sequence

import anyio
from anyio import to_thread
from mcp import MCPError
from pydantic import ValidationError

from local_llm import NoPlan, Task
from mcp_proxy.callers import CALLER, declares
from mcp_proxy.model_answers import outcome_of
from mcp_proxy.offered import as_json, offer
from mcp_proxy.proposals import Proposal, ProposalError, Usage
from mcp_proxy.redaction import redact_text
from mcp_proxy.sampling_messages import Sampled, request_in_text, request_with_tools
from tool_registry import Candidate

_METHOD = "sampling/createMessage"
_DETAIL_LIMIT = 300


class ClientEscalator:
    """The model of the client whose request is being served."""

    def __init__(self, max_tokens: int, timeout: float) -> None:
        self._max_tokens = max_tokens
        self._timeout = timeout

    @property
    def name(self) -> str:
        return "client"

    async def propose(self, task: Task, candidates: Sequence[Candidate], reason: str) -> Proposal:
        """One request to the client; see `Proposer.propose`.

        Raises:
            ProposalError: the client offers no sampling, declined, or gave no usable answer.
        """
        if not candidates:
            return Proposal(NoPlan(self.name, "there is no tool to choose from"))
        caller = CALLER.get()
        if caller is None or not declares(caller.capabilities, _METHOD, {}):
            raise ProposalError("unavailable", "the client offers no model of its own (sampling)")
        offered = await to_thread.run_sync(offer, task, candidates)
        with_tools = declares(caller.capabilities, _METHOD, {"tools": []})
        make = request_with_tools if with_tools else request_in_text
        params = json.loads(as_json(make(task, offered, reason, self._max_tokens)))
        try:
            with anyio.fail_after(self._timeout):
                given = await caller.ask(_METHOD, params)
            sampled = Sampled.model_validate(given)
        except TimeoutError:
            message = f"the client's model gave no answer within {self._timeout:g} s; raise client_timeout"
            raise ProposalError("timeout", message) from None
        except MCPError as error:
            said = redact_text(error.message)[:_DETAIL_LIMIT]
            raise ProposalError("unavailable", f"the client did not ask its model: {said}") from None
        except ValidationError:
            message = "what the client answered is no result of sampling; tell the client's author"
            raise ProposalError("reply", message) from None
        answer = sampled.answer if with_tools else sampled.answer_in_text
        return Proposal(outcome_of(answer, offered, task, self.name), Usage(cost=0.0))
