"""The papers that experiments repeat: what each published, what was run here, and at which size."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.common import bibliography, catalogue, pages, verdicts
from experiments.common.report import cell


class Paper(NamedTuple):
    """One paper.

    Attributes:
        key: of the bibliography.
        experiments: scripts that repeat some of it.
        published: whose numbers rows with ``published`` are, True for this paper's.
    """

    key: str
    experiments: tuple[str, ...]
    published: bool = False


PAPERS = (
    Paper(
        "arora2017",
        (
            "mix_gan_ring",
            "mix_gan_mnist",
            "mix_gan_cifar10",
            "mix_gan_equilibrium",
            "theory_low_diversity",
            "theory_training_set_size",
            "theory_equilibrium_exists",
            "theory_small_mixtures",
        ),
    ),
    Paper("lin2018", ("family_2d", "stacked_mnist", "theory_packing"), published=True),
    Paper("metz2016", ("unrolled_ring", "family_2d", "stacked_mnist")),
    Paper("li2018", ("gan_dynamics",)),
    Paper("nie", ("first_principles", "alternating_best_response")),
    Paper("ge2018", ("fictitious_history", "alternating_best_response", "family_2d")),
    Paper("nie2019", ("jare",)),
    Paper("mescheder2018", ("dirac_gan",)),
    Paper("mescheder2017", ("game_optimisers", "jare")),
    Paper("domingoenrich2020", ("mixed_equilibria",)),
    Paper("balaji2021", ("overparam_gda", "overparam_features", "overparam_mnist")),
)

# Papers whose method is in the library, or whose benchmark the experiments use.
METHODS = {
    "goodfellow2014": "mg.gda",
    "wei2022": "mg.duel_gan",
    "aung2022": "mg.double_oracle",
    "huang2024": "mg.losses.relativistic",
    "grnarova2019": "mg.duality_gap_curve",
    "gidel2019": "mg.extragradient",
    "zhang2019": "mg.lookahead",
    "chavdarova2021": "mg.lookahead",
    "yazici2019": "mg.averaged",
    "balduzzi2018": "mg.adjustments",
    "gulrajani2017": "mg.penalties",
    "radford2016": "mg.networks",
    "miyato2018": "mg.networks",
    "zhao2020": "mg.data.diff_augment",
    "srivastava2017": "mg.metrics",
}


def methods() -> str:
    """Lists the papers whose results no experiment repeats, with what is here of them."""
    papers = bibliography.entries()
    rows = [
        [papers[key].short, papers[key].title, papers[key].arxiv, f"`{call}`"]
        for key, call in METHODS.items()
    ]
    return pages.table(["paper", "title", "arXiv", "here"], rows)


def page() -> str:
    """Shows paper by paper which presets have a kept result, and published numbers beside ours."""
    kept = {(each["experiment"], each["preset"]): each for each in pages.stored_results()}
    parts = [f"{_reference(paper)}\n\n{_presets(paper, kept)}" for paper in PAPERS]
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
    entry = bibliography.entries()[paper.key]
    link = f" [arXiv {entry.arxiv}](https://arxiv.org/abs/{entry.arxiv})." if entry.arxiv else ""
    return f"## {entry.heading}\n\n*{entry.title}*.{link}"


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
