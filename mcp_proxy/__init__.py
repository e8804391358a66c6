"""The proxy itself: everything that touches the outside."""

__version__ = "0.1.0"
