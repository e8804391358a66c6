"""What a single command has to start, of all that is configured. Knows nothing of what the command does."""

from mcp_proxy.catalog_cache import CatalogCache
from mcp_proxy.config import Settings
from tool_registry.naming import SEPARATOR


def asleep(settings: Settings) -> Settings:
    """The settings with every upstream lazy whose catalog is known: it runs only if something is asked of it."""
    cache = CatalogCache(settings.catalog.path if settings.catalog.enabled else None)
    upstreams = {
        name: upstream.model_copy(update={"lazy": True})
        if upstream.enabled and cache.load(name, upstream)
        else upstream
        for name, upstream in settings.upstreams.items()
    }
    return settings.model_copy(update={"upstreams": upstreams})


def owners(tool: str, settings: Settings) -> Settings:
    """The settings with those upstreams alone that a tool may belong to by its name; perhaps none."""
    upstreams = {
        name: upstream
        for name, upstream in settings.enabled_upstreams.items()
        if not upstream.prefix or tool.startswith(f"{upstream.prefix}{SEPARATOR}")
    }
    return settings.model_copy(update={"upstreams": upstreams})
