"""The claims of mix_gan_cifar10: every mixture against X and against X with k times the parameters, by two scores."""

from typing import Any

from experiments.common import verdicts
from experiments.common.image_classifier import Classifier
from experiments.images.image_methods import Method, methods


def judge_rows(config: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judges every mixture against X and against X with k times the parameters, by both scores."""
    by_name = {row["method"]: row for row in rows}
    verdict = []
    for mixture in (method for method in methods(config) if method.components > 1):
        rivals = Method(mixture.family), Method(mixture.family, larger=config.components)
        for rival in rivals:
            pair = by_name[mixture.name], by_name[rival.name]
            for metric, direction, word, expected in (
                ("inception_score", ">", "a higher Inception score", verdicts.ABOVE),
                ("frechet", "<", "a smaller Frechet distance", verdicts.BELOW),
            ):
                text = f"{mixture.name} has {word} than {rival.name}"
                found = verdicts.contrast(*pair, metric, direction)
                verdict.append(verdicts.claim(text, expected, *found))
    return verdict


def judge(config: Any, rows: list[dict[str, Any]], classifier: Classifier) -> list[dict]:
    """Returns the verdict: what was claimed before the run against the results."""
    verdict, accuracy = judge_rows(config, rows), 100 * classifier.test_accuracy
    if config.dataset.startswith("cifar10"):
        text = "the classifier that judges images can be trusted"
        verdict.append(verdicts.claim(text, ">= 85 %", f"{accuracy:.2f} %", accuracy >= 85.0))
    return verdict
