"""Estimators of mean magnitudes, which mel filters may sum: they work on mel bands as well."""

from __future__ import annotations

from anymic.devices.correction.estimators.registry import Array, Recordings, register_estimator


@register_estimator("ratio_of_means", takes="optional", mel_bands=True)
def ratio_of_means(recordings: Recordings) -> tuple[Array, Array]:
    """Return the mean spectrum of the reference over that of the device."""
    magnitude = recordings.spectra.magnitude
    if recordings.aligned:
        reference, device = recordings.of_takes(magnitude)
        means = reference.mean(axis=0), device.mean(axis=0)
    else:
        means = recordings.means(magnitude)
        reference, device = means[0][None], magnitude[recordings.rows[-1]]
    gains = recordings.floored(means[0]) / recordings.floored(means[1])
    return gains, recordings.ratios_db(reference, device)


@register_estimator("mean_of_ratios", takes="required", mel_bands=True)
def mean_of_ratios(recordings: Recordings) -> tuple[Array, Array]:
    """Return the mean over takes of the reference's spectrum over the device's."""
    ratios_db = recordings.ratios_db(*recordings.of_takes(recordings.spectra.magnitude))
    return (10 ** (ratios_db / 20)).mean(axis=0), ratios_db
