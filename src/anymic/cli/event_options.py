"""The options of events, which several verbs have."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, get_args

from anymic.cli.inputs import require_both, require_choice

if TYPE_CHECKING:
    from anymic.inference.recordings import EventSettings


def event_settings(
    threshold: float | None,
    hysteresis: float,
    shortest_s: float,
    longest_gap_s: float,
    overlap: str,
    *,
    every_window: bool = False,
    top: int = 1,
) -> EventSettings:
    """Return the settings that the options state; ConfigError if one is out of its range."""
    from anymic.inference.events import EventRules, Overlap
    from anymic.inference.recordings import EventSettings

    require_choice("--overlap", overlap, get_args(Overlap))
    rules = EventRules(
        threshold,
        hysteresis,
        shortest_s,
        longest_gap_s,
        overlap,  # type: ignore[arg-type]
    )
    return EventSettings(rules, every_window, top)


def refuse_event_options(settings: EventSettings, needed: str, **options: object) -> None:
    """Raise ConfigError for an option of events that is given without what it needs."""
    from anymic.inference.events import EventRules

    given = [
        f"--{name}" for name, value in options.items() if value is not None and value is not False
    ]
    usual = EventRules()
    given += [
        f"--{each.name.removesuffix('_s').replace('_', '-')}"
        for each in fields(usual)
        if getattr(settings.rules, each.name) != getattr(usual, each.name)
    ]
    if given:
        require_both(given[0], True, needed, None)
