"""What tools there are: catalog, names, schemas, search. Pure values: no network, no model, no clock."""

from tool_registry.catalog import Catalog, CatalogProblem, Entry, Offer, ToolEntry
from tool_registry.schema import ArgumentProblem, UnusableSchemaError
from tool_registry.search import Candidate, ToolIndex

__all__ = [
    "ArgumentProblem",
    "Candidate",
    "Catalog",
    "CatalogProblem",
    "Entry",
    "Offer",
    "ToolEntry",
    "ToolIndex",
    "UnusableSchemaError",
]
