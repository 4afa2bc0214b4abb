"""The tables of PacGAN's paper on stacked MNIST, and what is claimed of ours."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from experiments.common import report
from experiments.parts.stacked_methods import methods

Row: TypeAlias = Mapping[str, Any]


class Published(NamedTuple):
    """Means and standard errors; None where the table has no standard error."""

    modes: float
    modes_error: float | None
    kl: float
    kl_error: float | None


# Lin et al. 2018, arXiv 1712.04086. The first row of each is the authors' own run of DCGAN.
TABLE_2 = {
    "GAN": Published(78.9, 6.46, 4.50, 0.127),
    "PacGAN2": Published(1000.0, 0.0, 0.06, 0.003),
    "PacGAN3": Published(1000.0, 0.0, 0.06, 0.003),
    "PacGAN4": Published(1000.0, 0.0, 0.07, 0.005),
}
TABLE_3 = {
    "quarter": {
        "GAN": Published(78.5, 17.56, 5.21, 0.19),
        "PacGAN2": Published(484.5, 32.99, 2.61, 0.22),
        "PacGAN3": Published(601.3, 32.18, 2.00, 0.17),
        "PacGAN4": Published(667.4, 29.00, 1.81, 0.15),
        "unrolled 1": Published(65.4, 34.75, 5.91, 0.14),
        "unrolled 5": Published(236.4, 63.30, 4.67, 0.43),
        "unrolled 10": Published(327.2, 74.67, 4.66, 0.46),
    },
    "half": {
        "GAN": Published(487.7, 34.59, 2.24, 0.15),
        "PacGAN2": Published(840.7, 15.92, 1.00, 0.05),
        "PacGAN3": Published(866.6, 12.10, 0.90, 0.04),
        "PacGAN4": Published(820.2, 25.50, 1.15, 0.14),
        "unrolled 1": Published(523.6, 55.77, 2.44, 0.26),
        "unrolled 5": Published(732.0, 44.98, 1.66, 0.09),
        "unrolled 10": Published(817.4, 37.91, 1.43, 0.12),
    },
}


def published(config: Any) -> Mapping[str, Published]:
    """The paper's rows of the config's protocol: of MNIST, and of its two sizes of discriminator."""
    if config.dataset != "mnist":
        return {}
    if config.protocol == "dcgan":
        return TABLE_2
    sizes = {2: "quarter", 4: "half"}
    return TABLE_3.get(sizes.get(config.discriminator_width, ""), {})


def judge(
    config: Any,
    rows: Sequence[Row],
    reals: Mapping[str, float],
    accuracy: float,
    *,
    is_theirs: bool,
) -> list[dict[str, Any]]:
    """The verdict: what was claimed before the run against what came out.

    Args:
        config: of the script.
        rows: the table's.
        reals: of ``of_real_stacks``.
        accuracy: the classifier's, of test images.
        is_theirs: whether the protocol is the paper's, so that its numbers, not orderings, can be expected.
    """
    by_name = {row["method"]: row for row in rows}
    verdict = _of_the_measures(config, reals, accuracy)
    if is_theirs:
        for name, numbers in published(config).items():
            if name in by_name:
                verdict.append(_as_published(by_name[name], numbers))
    else:
        verdict += _rising(config, by_name)
    return verdict + _goals(config, by_name, is_theirs=is_theirs)


def _of_the_measures(
    config: Any, reals: Mapping[str, float], accuracy: float
) -> list[dict[str, Any]]:
    bound = 0.01 if config.dataset == "mnist" else 0.05  # few test images are less even
    excess = reals["kl"] - reals["floor"]
    got = f"{reals['modes']:.0f} modes, KL {reals['kl']:.4f}, floor {reals['floor']:.4f}"
    return [
        report.claim(
            "the classifier can be trusted: accuracy on test images",
            f">= {100 * config.accuracy:.1f} %",
            f"{100 * accuracy:.2f} %",
            accuracy >= config.accuracy,
        ),
        report.claim(
            "stacks of real test images show every mode, hardly less evenly than chance allows",
            f"1000 modes, KL at most {bound} above the sampling floor",
            got,
            reals["modes"] == 1000 and excess <= bound,
        ),
    ]


def _as_published(row: Row, numbers: Published) -> dict[str, Any]:
    """Whether both measures are within 2 standard errors, ours and theirs combined, of the paper's."""
    pairs = (
        ("modes", numbers.modes, numbers.modes_error, 1),
        ("kl", numbers.kl, numbers.kl_error, 3),
    )
    expected, got, holds = [], [], True
    for metric, mean, error, digits in pairs:
        combined = math.hypot(row[f"{metric}_stderr"] or 0.0, error or 0.0)
        holds &= abs(row[f"{metric}_mean"] - mean) <= 2 * combined
        expected.append(f"{mean} ± {error} {metric}")
        got.append(report.cell(row, metric, digits))
    return report.claim(
        f"{row['method']} as in the paper's table",
        f"{', '.join(expected)}, within 2 standard errors combined",
        ", ".join(got),
        holds,
    )


def _rising(config: Any, by_name: Mapping[str, Row]) -> list[dict[str, Any]]:
    """The orderings: modes rise with the packing degree, with the components, with the depth of unrolling."""
    kinds = {
        "packing degree": "PacGAN",
        "number of components": "MIX+GAN k=",
        "depth of unrolling": "unrolled ",
    }
    verdict = []
    for kind, prefix in kinds.items():
        names = [m.name for m in methods(config) if m.name.startswith(prefix)]
        if names:
            means = [by_name[name]["modes_mean"] for name in ("GAN", *names)]
            verdict.append(
                report.claim(
                    f"modes rise with the {kind}: GAN, {', '.join(names)}",
                    "each mean above the one before",
                    ", ".join(f"{mean:.1f}" for mean in means),
                    all(a < b for a, b in itertools.pairwise(means)),
                )
            )
    return verdict


def _goals(config: Any, by_name: Mapping[str, Row], *, is_theirs: bool) -> list[dict[str, Any]]:
    """What we hope for: packed mixtures above the best packed GAN; in protocol dcgan every mode, evenly."""
    packed = [m.name for m in methods(config) if m.packing > 1 and m.components > 1]
    if not (packed and config.packings):
        return []
    ours = by_name[packed[-1]]
    name = f"PacGAN{max(config.packings)}"
    got, holds = report.separated(ours, by_name[name], "modes")
    goals = [
        report.claim(
            f"goal: {ours['method']} shows more modes than {name}",
            "by more than 2 standard errors",
            got,
            holds,
        )
    ]
    if not is_theirs:
        return goals
    cells = f"{report.cell(ours, 'modes', 1)} modes, KL {report.cell(ours, 'kl', 3)}"
    if config.protocol == "dcgan":
        fine = ours["modes_mean"] == 1000 and ours["kl_mean"] <= 0.06
        goal = report.claim(f"goal: {ours['method']}", "1000 modes and KL <= .06", cells, fine)
        return [goal]  # nothing is above 1000 modes
    best = max(published(config).values(), key=lambda numbers: numbers.modes, default=None)
    if best is not None:
        text = f"goal: {ours['method']} shows more modes than any row of the paper"
        above = ours["modes_mean"] > best.modes
        goals.append(report.claim(text, f"mean above {best.modes}", cells, above))
    return goals
