"""The columns and claims of stacked_mnist, and the tables of PacGAN that it is compared with."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from experiments.common import report, verdicts
from experiments.family import pacgan_tables
from experiments.family.pacgan_tables import TABLE_2, TABLE_3, as_published
from experiments.family.stacked_methods import methods

Row: TypeAlias = Mapping[str, Any]

MEASURES = {"modes": ("modes", 1), "kl": ("KL", 3)}


def published(config: Any) -> list[dict[str, Any]]:
    """Returns PacGAN's rows for the config's protocol: on MNIST, at one of its two sizes of discriminator."""
    if config.dataset != "mnist":
        return []
    sizes = {2: "quarter", 4: "half"}
    metz = TABLE_3.get(sizes.get(config.discriminator_width, ""), {})
    table = TABLE_2 if config.protocol == "dcgan" else metz
    return pacgan_tables.published(table, [method.name for method in methods(config)])


def judge(
    config: Any,
    rows: Sequence[Row],
    theirs: Sequence[Row],
    reals: Mapping[str, float],
    accuracy: float,
    *,
    is_theirs: bool,
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results.

    Args:
        config: the script's config.
        rows: the table's rows.
        theirs: result of :func:`published`.
        reals: result of ``of_real_stacks``.
        accuracy: the classifier's accuracy on test images.
        is_theirs: whether the protocol is the paper's. Then its numbers are expected, not orderings; only those of its
            own runs, since the errors of the unrolled GANs that it quotes are not known to us.
    """
    measures = _of_the_measures(config, reals, accuracy)
    return measures + judge_orderings(config, rows, theirs, is_theirs=is_theirs)


def judge_orderings(
    config: Any, rows: Sequence[Row], theirs: Sequence[Row], *, is_theirs: bool
) -> list[dict[str, Any]]:
    """Judges the claims that the rows decide; takes the arguments of ``judge``."""
    by_name = {row["method"]: row for row in rows}
    if is_theirs:
        verdict = [
            as_published(by_name[row["published"]], row, MEASURES)
            for row in theirs
            if row["published"].startswith(("GAN", "PacGAN"))
        ]
    else:
        verdict = _rising(config, by_name)
    return verdict + _goals(config, by_name, theirs, is_theirs=is_theirs)


def _of_the_measures(
    config: Any, reals: Mapping[str, float], accuracy: float
) -> list[dict[str, Any]]:
    bound = 0.01 if config.dataset == "mnist" else 0.05  # a small test set is less even
    excess = reals["kl"] - reals["floor"]
    got = f"{reals['modes']:.0f} modes, KL {reals['kl']:.4f}, floor {reals['floor']:.4f}"
    return [
        verdicts.claim(
            "the classifier can be trusted: accuracy on test images",
            f">= {100 * config.accuracy:.1f} %",
            f"{100 * accuracy:.2f} %",
            accuracy >= config.accuracy,
        ),
        verdicts.claim(
            "stacks of real test images show every mode, hardly less evenly than chance allows",
            f"1000 modes, KL at most {bound} above the sampling floor",
            got,
            reals["modes"] == 1000 and excess <= bound,
        ),
    ]


def _rising(config: Any, by_name: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Judges the orderings: modes rise with the packing degree, the components, the depth of unrolling."""
    kinds = {
        "packing degree": ("PacGAN", "m", lambda method: method.packing),
        "number of components": ("MIX+GAN k=", "k", lambda method: method.components),
        "depth of unrolling": ("unrolled ", "(1 + depth)", lambda method: 1 + method.unroll),
    }
    verdict = []
    for kind, (prefix, symbol, size) in kinds.items():
        own = [m for m in methods(config) if m.name == "GAN" or m.name.startswith(prefix)]
        if len(own) > 1:
            names = [method.name for method in own[1:]]
            places = np.log([size(method) for method in own])
            rise = verdicts.trend([by_name[method.name] for method in own], places, "modes")
            verdict.append(
                verdicts.claim(
                    f"modes rise with the {kind}: GAN, {', '.join(names)}",
                    f"slope on log {symbol} above 0",
                    *rise,
                )
            )
    return verdict


def _goals(
    config: Any, by_name: Mapping[str, Row], theirs: Sequence[Row], *, is_theirs: bool
) -> list[dict[str, Any]]:
    """Judges the goals: packed mixtures above the best packed GAN; in protocol dcgan every mode, evenly."""
    both = [by_name[m.name] for m in methods(config) if m.packing > 1 and m.components > 1]
    packed = [by_name[m.name] for m in methods(config) if m.packing > 1 and m.components == 1]
    if not (both and packed):
        return []
    ours, other = both[-1], max(packed, key=lambda row: row["modes_mean"])
    got, holds = verdicts.contrast(ours, other, "modes")
    goals = [
        verdicts.claim(
            f"goal: {ours['method']} shows more modes than {other['method']}, the best packed GAN",
            verdicts.ABOVE,
            got,
            holds,
        )
    ]
    if not is_theirs:
        return goals
    cells = f"{report.cell(ours, 'modes', 1)} modes, KL {report.cell(ours, 'kl', 3)}"
    if config.protocol == "dcgan":
        fine = verdicts.all_of(
            [
                verdicts.of_mean(ours, "modes", ">=", 1000),
                verdicts.of_mean(ours, "kl", "<=", 0.06),
            ]
        )
        goal = verdicts.claim(f"goal: {ours['method']}", "1000 modes and KL <= 0.06", cells, fine)
        return [goal]  # nothing is above 1000 modes
    best = max((row["modes_mean"] for row in theirs), default=None)
    if best is not None:
        text = f"goal: {ours['method']} shows more modes than any row of the paper"
        above = verdicts.of_mean(ours, "modes", ">", best)
        goals.append(verdicts.claim(text, f"mean above {best}", cells, above))
    return goals
