"""What tools there are: catalog, names, schemas, search. Pure values: no network, no model, no clock."""

from tool_registry.catalog import Catalog, CatalogProblem, Entry, Offer, ToolEntry
from tool_registry.edits import Repair
from tool_registry.problems import ArgumentProblem
from tool_registry.repair import Checked
from tool_registry.schema import UnusableSchemaError
from tool_registry.search import Candidate, ToolIndex

__all__ = [
    "ArgumentProblem",
    "Candidate",
    "Catalog",
    "CatalogProblem",
    "Checked",
    "Entry",
    "Offer",
    "Repair",
    "ToolEntry",
    "ToolIndex",
    "UnusableSchemaError",
]
