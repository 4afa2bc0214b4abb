"""The papers that experiments repeat: what each published, what was run here, and at which size."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.common import catalogue, pages, verdicts
from experiments.common.report import cell


class Paper(NamedTuple):
    """One paper.

    Attributes:
        authors: with the year.
        title: as published.
        arxiv: its number, empty for a poster.
        experiments: scripts that repeat some of it.
        published: whose numbers rows with ``published`` are, True for this paper's.
    """

    authors: str
    title: str
    arxiv: str
    experiments: tuple[str, ...]
    published: bool = False


PAPERS = (
    Paper(
        "Arora, Ge, Liang, Ma and Zhang (2017)",
        "Generalization and equilibrium in generative adversarial nets (GANs)",
        "1703.00573",
        (
            "mix_gan_ring",
            "mix_gan_mnist",
            "mix_gan_equilibrium",
            "theory_low_diversity",
            "theory_training_set_size",
            "theory_equilibrium_exists",
            "theory_small_mixtures",
        ),
    ),
    Paper(
        "Lin, Khetan, Fanti and Oh (2018)",
        "PacGAN: the power of two samples in generative adversarial networks",
        "1712.04086",
        ("family_2d", "stacked_mnist", "theory_packing"),
        published=True,
    ),
    Paper(
        "Metz, Poole, Pfau and Sohl-Dickstein (2016)",
        "Unrolled generative adversarial networks",
        "1611.02163",
        ("unrolled_ring", "family_2d", "stacked_mnist"),
    ),
    Paper(
        "Li, Madry, Peebles and Schmidt (2018)",
        "On the limitations of first-order approximation in GAN dynamics",
        "1706.09884",
        ("gan_dynamics",),
    ),
    Paper(
        "Nie, Liu and Patel",
        "GANs from first principles (poster)",
        "",
        ("first_principles", "alternating_best_response"),
    ),
    Paper(
        "Ge, Xia, Chen, Berry and Wu (2018)",
        "Fictitious GAN: training GANs with historical models",
        "1803.08647",
        ("fictitious_history", "alternating_best_response", "family_2d"),
    ),
    Paper(
        "Nie and Patel (2019)",
        "Towards a better understanding and regularization of GAN training dynamics",
        "1806.09235",
        ("jare",),
    ),
    Paper(
        "Mescheder, Geiger and Nowozin (2018)",
        "Which training methods for GANs do actually converge?",
        "1801.04406",
        ("dirac_gan",),
    ),
    Paper(
        "Mescheder, Nowozin and Geiger (2017)",
        "The numerics of GANs",
        "1705.10461",
        ("game_optimisers", "jare"),
    ),
    Paper(
        "Balaji, Sajedi, Kalibhat, Ding, Stöger, Soltanolkotabi and Feizi (2021)",
        "Understanding over-parameterization in generative adversarial networks",
        "2104.05605",
        ("overparam_gda", "overparam_features", "overparam_mnist"),
    ),
)


def page() -> str:
    """Shows paper by paper which presets have a kept result, and published numbers beside ours."""
    kept = {(each["experiment"], each["preset"]): each for each in pages.stored_results()}
    parts = [
        f"## {paper.authors}\n\n{_reference(paper)}\n\n{_presets(paper, kept)}" for paper in PAPERS
    ]
    numbers = [
        f"## Published numbers beside ours: {name}\n\n{text}"
        for paper in PAPERS
        if paper.published
        for name in paper.experiments
        if (text := _numbers(name, kept))
    ]
    return "\n\n".join([*parts, *numbers])


def status(preset: str, result: Mapping[str, Any] | None) -> str:
    """Says how far a preset repeats its paper: a kept result of a paper's preset reproduces it if its claims hold."""
    if result is None:
        return "not attempted"
    if not preset.startswith("paper"):
        return "at a smaller size"
    outcomes = {verdicts.outcome_of(line) for line in result["verdict"]}
    return "reproduced" if outcomes == {"holds"} else "attempted"


def _reference(paper: Paper) -> str:
    link = f" [arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})." if paper.arxiv else ""
    return f"*{paper.title}*.{link}"


def _presets(paper: Paper, kept: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    rows = []
    for name in paper.experiments:
        room = catalogue.scripts()[name].room
        for preset in _names(name):
            result = kept.get((name, preset))
            row = [f"[{name}](results/{room}.md)", preset, status(preset, result)]
            rows.append(row + (_measured(result) if result else ["", "", ""]))
    return pages.table(["experiment", "preset", "status", "claims", "time", "hardware"], rows)


def _names(name: str) -> list[str]:
    return [preset for preset in catalogue.load(name).PRESETS if preset != "smoke"]


def _measured(result: Mapping[str, Any]) -> list[str]:
    minutes = f"{result['seconds'] / 60:.1f} minutes"
    return [verdicts.count(result["verdict"]), minutes, result["hardware"]]


def _numbers(name: str, kept: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """Shows one experiment's published rows, each beside ours of that preset."""
    script = catalogue.load(name)
    find = getattr(script, "published", None)
    if find is None:
        return ""
    rows, measures = [], {}
    for preset in _names(name):
        result = kept.get((name, preset))
        ours = {row["method"]: row for row in result["rows"]} if result else {}
        for theirs in find(script.PRESETS[preset]):
            measures = {
                key: value for key, value in script.COLUMNS.items() if f"{key}_mean" in theirs
            }
            method = theirs["published"]
            for key, (heading, digits) in measures.items():
                own = cell(ours[method], key, digits) if method in ours else ""
                state = status(preset, result if method in ours else None)
                rows.append([preset, method, heading, cell(theirs, key, digits), own, state])
    headings = ["preset", "method", "measure", "published", "ours", "status"]
    return pages.table(headings, rows) if rows else ""
