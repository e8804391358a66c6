"""Fixtures for every test: the event loop the proxy runs on, and a state folder that is nobody's."""

from collections.abc import Generator

import pytest

USER_FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio only: the stdio transports and uvicorn run there."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _nobodys_folders(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Have what is kept for a user be kept in a scratch folder, by this process and those it starts.

    For the session, as servers that serve a whole module are started before any test of it begins.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name in USER_FOLDERS:
            environment.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield
