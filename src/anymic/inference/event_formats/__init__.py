"""Files of events: tables, and the label files of Audacity, Raven and Praat.

A table (csv, jsonl, parquet) holds the events of all recordings. The label files hold those of one
recording each: the output is then a file for one recording, and a folder for several.
"""

from __future__ import annotations

from anymic.inference.event_formats.choosing import FORMATS, Target, target_of
from anymic.inference.event_formats.writing import label_files, refuse_several, write_events

__all__ = [
    "FORMATS",
    "Target",
    "label_files",
    "refuse_several",
    "target_of",
    "write_events",
]
