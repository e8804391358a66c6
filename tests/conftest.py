"""Fixtures for every test: the event loop the proxy runs on."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio only: the stdio transports and uvicorn run there."""
    return "asyncio"
