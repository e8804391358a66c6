"""The SDK's server as Switchboard's: under its name, with what it says of itself on every transport."""

from typing import Any

from mcp.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions

_CHANGES = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)


class SdkServer(Server[Any]):
    """A server that announces changed lists, and says so where the SDK itself asks for its options (over HTTP)."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        return super().create_initialization_options(
            notification_options or _CHANGES, experimental_capabilities, extensions
        )
