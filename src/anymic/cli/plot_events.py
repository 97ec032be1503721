"""``anymic plot events``: draw the events of a recording under its log-mel picture."""

from __future__ import annotations

from pathlib import Path

from anymic.cli.event_options import event_settings
from anymic.cli.inputs import require_png
from anymic.cli.printing import Outcome


def plot_events(
    recording: str,
    *,
    model: Path,
    out: Path = Path("events.png"),
    device: str | None = None,
    threshold: float | None = None,
    hysteresis: float = 0.2,
    shortest: float = 0.0,
    longest_gap: float = 1.0,
    overlap: str = "mean",
    hop: float | None = None,
    accelerator: str = "auto",
) -> None:
    """Draw the events of a recording under its log-mel picture.

    The events are those of `anymic predict --out` with the same options: a row for each label, over
    time. The picture has the log-mel values of the model's front-end.

    Example: anymic plot events night.flac --model run --out events.png
    """
    from anymic import bundle
    from anymic._internal.remote import as_path
    from anymic.errors import counted
    from anymic.evaluation.report.events import events_figure, log_mel_picture
    from anymic.evaluation.report.style import save_png
    from anymic.inference.events import Event
    from anymic.inference.predictor import Predictor
    from anymic.inference.streaming import with_hop

    require_png(out)
    settings = event_settings(threshold, hysteresis, shortest, longest_gap, overlap)
    predictor = Predictor(with_hop(bundle.load(model), hop), accelerator=accelerator)
    path = as_path(recording)
    table = predictor.events(path, device=device, rules=settings.rules)
    events = [Event(*row) for row in table.itertuples(index=False, name=None)]
    picture, length_s = log_mel_picture(predictor, path)
    title = f"{path.name}: {counted(len(events), 'event')}"
    place = str(save_png(events_figure(picture, length_s, events, title=title), out))
    Outcome(place, [place]).show(as_json=False)
