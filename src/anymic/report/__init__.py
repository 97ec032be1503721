"""Results that a reader can trust: rows, tables, figures and one page."""

from anymic.report.evaluation import compare, evaluate
from anymic.report.rows import ReportError, Row, read_json, select, write_json

__all__ = ["ReportError", "Row", "compare", "evaluate", "read_json", "select", "write_json"]
