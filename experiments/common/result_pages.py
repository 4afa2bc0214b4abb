"""Kept results as pages: one for each room, an index of claims, and the README's two tables."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.common import catalogue, pages, verdicts
from experiments.common.report import RESULTS


class Theorem(NamedTuple):
    """One row of the README's table of theorems.

    Attributes:
        statement: the theorem or claim, in a few words.
        call: the function of the library that measures or trains it.
        result: the kept result, as ``experiment.preset``.
        claim: how the claim begins that the result judges.
    """

    statement: str
    call: str
    result: str
    claim: str


THEOREMS = (
    Theorem(
        "Five components cover more modes than one GAN of five times the size (Arora 2017)",
        "mg.mix_gan",
        "mix_gan_ring.cpu",
        "MIX+GAN k=5 captures more modes than GAN, 5x parameters",
    ),
    Theorem(
        "Three mixed DCGANs have a higher Inception score than one three times as large, CIFAR-10 as JPEG (Arora 2017)",
        "mg.mix_gan",
        "mix_gan_cifar10.jpeg",
        "MIX+DCGAN k=3, Latin has a higher Inception score than DCGAN, 3 times the parameters",
    ),
    Theorem(
        "What retraining one player gains falls with k",
        "mg.duality_gap_curve",
        "mix_gan_equilibrium.cpu",
        "gap after 1000 steps falls with k",
    ),
    Theorem(
        "Learned weights are no further from equilibrium than uniform ones",
        "mg.metrics.equilibrium_report",
        "mix_gan_mnist.cpu",
        "learned weights are no further",
    ),
    Theorem(
        "T generators are an approximate equilibrium (Arora 2017)",
        "mg.theory.mixture_error",
        "theory_equilibrium_exists.cpu",
        "no gain is larger than the theorem's eps",
    ),
    Theorem(
        "... and its gain falls as 1 / sqrt T, p = 49",
        "mg.metrics.best_discriminator",
        "theory_equilibrium_exists.cpu",
        "the gain of p = 49",
    ),
    Theorem(
        "p parameters cannot tell data from m samples: the distance falls as 1 / sqrt m (Arora 2017)",
        "mg.metrics.neural_net_distance",
        "theory_low_diversity.cpu",
        "the distance falls as m^(-1/2)",
    ),
    Theorem(
        "k strategies out of n lose less than R sqrt(2 log n / k) (Lipton and Young 1994)",
        "mg.zero_sum_equilibrium",
        "theory_small_mixtures.cpu",
        "sampled NashConv is below",
    ),
    Theorem(
        "Optimal discriminators always succeed on two Gaussians (Li 2018)",
        "mg.theory.interval_step",
        "gan_dynamics.cpu",
        "with the optimal discriminator every start",
    ),
    Theorem(
        "... first-order ones in a tenth of all runs",
        "mg.theory.interval_step",
        "gan_dynamics.cpu",
        "simultaneous gradient steps of 0.1",
    ),
    Theorem(
        "The packed distance has PacGAN's bounds (Lin 2018)",
        "mg.theory.packing_bounds",
        "theory_packing.cpu",
        "the packed distance of every random pair",
    ),
    Theorem(
        "Packs of two cover more modes than a GAN, on a ring (Lin 2018)",
        "mg.pack",
        "family_2d.cpu",
        "PacGAN2 captures more modes than GAN",
    ),
    Theorem(
        "... on a grid",
        "mg.pack",
        "family_2d.grid",
        "PacGAN2 captures more modes than GAN",
    ),
    Theorem(
        "Particles with weights find a mixed equilibrium, neither half does (Domingo-Enrich 2020)",
        "mg.theory.particle_players",
        "mixed_equilibria.cpu",
        "both, 20 particles: a smaller error than either half",
    ),
    Theorem(
        "... at an exponential rate",
        "mg.mix_gan",
        "mixed_equilibria.cpu",
        "both, 20 particles: the error falls at an exponential rate",
    ),
    Theorem(
        "R1, R2, consensus and JARE converge on the Dirac-GAN (Mescheder 2018, Nie 2019)",
        "mg.penalties, mg.adjustments",
        "dirac_gan.cpu",
        "R1, R2, consensus, JARE",
    ),
    Theorem(
        "Answering past opponents covers modes more evenly (Ge 2018)",
        "mg.fictitious_gan",
        "family_2d.cpu",
        "Fictitious has a smaller reverse KL",
    ),
    Theorem(
        "Unrolling by five covers more modes, batches of 512 (Metz 2016)",
        "mg.unrolled_gan",
        "unrolled_ring.large_batch",
        "more modes: slow D, depth 5 than slow D, depth 0",
    ),
    Theorem(
        "... batches of 128",
        "mg.unrolled_gan",
        "unrolled_ring.cpu",
        "more modes: slow D, depth 5 than slow D, depth 0",
    ),
    Theorem(
        "Gradient descent-ascent converges where Wendel's theorem says (Balaji 2021)",
        "mg.theory.reachable_probability",
        "overparam_gda.cpu",
        "targets are in reach as often",
    ),
)


def theorem_table() -> str:
    """Shows the README's theorems with what was measured of them."""
    results = {f"{each['experiment']}.{each['preset']}": each for each in pages.stored_results()}
    scripts = catalogue.scripts()
    rows = []
    for theorem in THEOREMS:
        lines = results[theorem.result]["verdict"]
        found = [line for line in lines if line["claim"].startswith(theorem.claim)]
        if len(found) != 1:
            raise ValueError(
                f"{theorem.result} must judge one claim {theorem.claim!r}, got {len(found)}"
            )
        mark = pages.MARKS[verdicts.outcome_of(found[0])]
        room = scripts[theorem.result.split(".")[0]].room
        calls = ", ".join(f"`{call}`" for call in theorem.call.split(", "))
        line = found[0]
        measured = (
            f"[{mark}](docs/results/{room}.md): expected {line['expected']}; got {line['got']}"
        )
        rows.append([theorem.statement, calls, measured])
    return pages.table(["theorem or claim", "call", "measured"], rows)


def experiment_table() -> str:
    """Lists all experiments by room, with how many claims of their kept results hold."""
    counts = count_claims()
    rows = []
    for room, about in catalogue.rooms().items():
        rows.append([f"**[{room}](docs/results/{room}.md)**", f"*{about}*", ""])
        for script in catalogue.scripts().values():
            if script.room == room:
                question = script.doc.splitlines()[0]
                outcomes = sum(
                    (each for (name, _), each in counts.items() if name == script.name), Counter()
                )
                held = f"{outcomes['holds']} of {outcomes.total()}" if outcomes else ""
                rows.append([f"`{script.name}`", question, held])
    return pages.table(["experiment", "question", "claims that hold"], rows)


def count_claims() -> dict[tuple[str, str], Counter[str]]:
    """Counts the outcomes of every kept result, by experiment and preset."""
    return {
        (each["experiment"], each["preset"]): Counter(map(verdicts.outcome_of, each["verdict"]))
        for each in pages.stored_results()
    }


def index() -> str:
    """Counts the claims of all kept results in one table, with their pages."""
    scripts = catalogue.scripts()
    counts = count_claims()
    rows = []
    for name, script in scripts.items():
        for (experiment, preset), outcomes in counts.items():
            if experiment == name:
                anchor = f"results/{script.room}.md#{_anchor(name, preset)}"
                rows.append([script.room, f"[{name}, {preset}]({anchor})", *_numbers(outcomes)])
    rows.append(["", "all", *_numbers(sum(counts.values(), Counter()))])
    return pages.table(["room", "experiment, preset", *pages.MARKS], rows)


def room_page(room: str) -> str:
    """Shows all kept results of a room: question, table, verdict and figures."""
    scripts = catalogue.scripts()
    links = "[How claims are judged](../results.md)."
    if (catalogue.HERE / room / "README.md").exists():
        links += f" [Protocols, trials and changes](../../experiments/{room}/README.md)."
    parts = [f"# {room}\n\n{catalogue.rooms()[room]}\n\n{links}"]
    for results in pages.stored_results():
        script = scripts[results["experiment"]]
        if script.room == room:
            parts.append(
                f"## {script.name}, {results['preset']}\n\n{script.doc.splitlines()[0]}\n\n"
                f"{verdicts.count(results['verdict'])}. `{_command(script.name, results['preset'])}`\n\n"
                f"{pages.markdown(results, '../../experiments/results')}"
            )
            parts += _figures(f"{script.name}.{results['preset']}")
    return f"{pages.WRITTEN}\n\n" + "\n\n".join(parts) + "\n"


def _figures(stem: str) -> list[str]:
    return [
        f"![{stem}: {path.name.removeprefix(stem)[1:-4]}](../../experiments/results/{path.name})"
        for path in sorted(RESULTS.glob(f"{stem}.*.png"))
    ]


def _command(name: str, preset: str) -> str:
    return f"python -m experiments {name}" + (f" --preset {preset}" if preset != "cpu" else "")


def _anchor(name: str, preset: str) -> str:
    return f"{name}-{preset}"


def _numbers(outcomes: Counter[str]) -> Sequence[Any]:
    return [str(outcomes[name]) for name in pages.MARKS]
