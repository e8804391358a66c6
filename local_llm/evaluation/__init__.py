"""How good a planner is: records of requests with the calls they want, a planner's answers to them, and the figures.

`records` reads what is asked and wanted, `answering` asks a planner, `verdicts` and `values` judge one answer,
`metrics` sums up many, `plot` draws them. Nothing here knows which planners there are.
"""

from local_llm.evaluation.answering import Answer, Contestant, NoAnswerError, PlannerContestant, answers
from local_llm.evaluation.metrics import Summary, summarise
from local_llm.evaluation.records import BadRecordError, Record, read_records
from local_llm.evaluation.verdicts import Judged, judge

__all__ = [
    "Answer",
    "BadRecordError",
    "Contestant",
    "Judged",
    "NoAnswerError",
    "PlannerContestant",
    "Record",
    "Summary",
    "answers",
    "judge",
    "read_records",
    "summarise",
]
