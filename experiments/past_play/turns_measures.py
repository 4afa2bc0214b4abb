"""Measures of players that take turns, from their histograms over modes or atoms."""

from typing import Any

import numpy as np

from mixgan_jax import theory


def away(histograms: Any, weights: Any) -> Any:
    """Computes the total variation ``[...]`` of histograms ``[..., K]`` to the data's weights ``[K]``."""
    return 0.5 * np.abs(np.asarray(histograms) - weights).sum(axis=-1)


def running_average(histograms: Any) -> Any:
    """Averages the first 1, 2, ..., T histograms: ``[..., T, K]``."""
    histograms = np.asarray(histograms)
    return np.cumsum(histograms, axis=-2) / np.arange(1, histograms.shape[-2] + 1)[:, None]


def summary(histograms: Any, told_apart: Any, weights: Any) -> dict[str, Any]:
    """Computes the table's numbers by seed from histograms ``[S, T, K]`` and JS told apart ``[S, T]``."""
    histograms, told_apart = np.asarray(histograms), np.asarray(told_apart)
    modes = histograms.argmax(axis=-1)
    last_quarter = told_apart[:, -(told_apart.shape[1] // 4) :]
    return {
        "changes": 100.0 * (modes[:, 1:] != modes[:, :-1]).mean(axis=1),
        "instantaneous": away(histograms, weights).mean(axis=1),
        "average": away(histograms.mean(axis=1), weights),
        "told_apart": last_quarter.mean(axis=1),
    }


def faced_exactly(atoms: Any, weights: Any, memory: int | None) -> Any:
    """Computes JS ``[T]`` between the data and the average of the generators that each discriminator answered."""
    plays = np.eye(len(weights))[np.concatenate([[0], np.asarray(atoms)])]
    total = np.concatenate([np.zeros((1, len(weights))), np.cumsum(plays, axis=0)])
    end = np.arange(1, len(plays))
    begin = np.zeros_like(end) if memory is None else np.maximum(end - memory, 0)
    average = (total[end] - total[begin]) / (end - begin)[:, None]
    both = average + np.asarray(weights)
    logistic, *_ = theory.scoring_rules()
    risk = theory.bayes_risk(logistic, np.asarray(weights / both, np.float32))
    return np.log(2.0) - 0.5 * (both * np.asarray(risk)).sum(axis=-1)
