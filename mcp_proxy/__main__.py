"""`python -m mcp_proxy` is the command `switchboard`."""

from mcp_proxy.entry import main

if __name__ == "__main__":
    main()
