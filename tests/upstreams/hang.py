"""Starts, reads, and never answers: not even `initialize`."""

from lines import requests

for _ in requests():
    pass
