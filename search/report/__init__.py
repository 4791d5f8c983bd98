"""Results as pages: one self-contained HTML file each, made from the same JSON that ``--json`` writes."""

from hwnas.search.report.compare import compare_page
from hwnas.search.report.evaluate import evaluate_page
from hwnas.search.report.predictors import predictors_page
from hwnas.search.report.profile import profile_page
from hwnas.search.report.search import search_page
from hwnas.search.report.table_check import table_check_page
from hwnas.search.report.training import training_page
from hwnas.search.report.transfer import transfer_page

__all__ = [
    "compare_page",
    "evaluate_page",
    "predictors_page",
    "profile_page",
    "search_page",
    "table_check_page",
    "training_page",
    "transfer_page",
]
