"""Reports: rows with intervals, tables, figures and one page.

Examples
--------
>>> from anymic import report
>>> row = report.Row({"device": "B"}, "accuracy", 0.7, low=0.66, high=0.74, n=540)
>>> report.write_json([row], "report.json").name
'report.json'
"""

from anymic.evaluation.report.evaluation import compare, evaluate
from anymic.evaluation.report.label_rows import evaluate_labels
from anymic.evaluation.report.rows import ReportError, Row, read_json, select, write_json
from anymic.evaluation.report.summary import summary
from anymic.evaluation.report.write import ReportFigure, run_header, tables_of, write_report

__all__ = [
    "ReportError",
    "ReportFigure",
    "Row",
    "compare",
    "evaluate",
    "evaluate_labels",
    "read_json",
    "run_header",
    "select",
    "summary",
    "tables_of",
    "write_json",
    "write_report",
]
