"""What a claim comes to: it holds, it fails, or the seeds do not decide."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest
from helpers import first_quick

from experiments.common import catalogue, exponents, harness, pages, rejudge, report, verdicts
from experiments.family import theory_packing
from experiments.images import mix_gan_mnist
from experiments.mixtures import mix_gan_ring, mix_weights


def row(mean, error):
    return {"modes_mean": mean, "modes_stderr": error}


@pytest.mark.parametrize(
    ("estimate", "error", "direction", "outcome"),
    [
        (1.1, 0.5, ">", "holds"),  # 0.1 to 2.1
        (1.0, 0.5, ">", "undecided"),  # 0 is a point of the interval
        (-1.0, 0.5, ">", "fails"),
        (-0.9, 0.5, ">", "undecided"),
        (-1.0, 0.5, "<=", "holds"),
        (1.1, 0.5, "<=", "fails"),
        (1.0, 0.5, ">=", "holds"),
        (-1.1, 0.5, "<", "holds"),
        (1.0, 0.5, "<", "fails"),
        (0.0, 0.0, ">", "fails"),  # an exact number
        (0.0, 0.0, "<=", "holds"),
        (9.0, None, ">", "undecided"),  # a single seed
        (math.nan, 0.1, ">", "undecided"),
        (math.inf, math.nan, ">", "undecided"),
    ],
)
def test_the_interval_decides(estimate, error, direction, outcome):
    assert verdicts.decide(estimate, error, direction, 0.0) == outcome
    assert verdicts.decide(estimate + 3.0, error, direction, 3.0) == outcome


def test_the_opposite_claim_has_the_opposite_outcome():
    opposite = {"holds": "fails", "fails": "holds", "undecided": "undecided"}
    for estimate in np.linspace(-2, 2, 41):
        for one, other in ((">", "<="), ("<", ">=")):
            found = verdicts.decide(estimate, 0.5, one, 0.0)
            assert verdicts.decide(estimate, 0.5, other, 0.0) == opposite[found]


def test_a_claim_of_several_parts_is_as_good_as_its_worst():
    assert verdicts.all_of(["holds", "holds"]) == "holds"
    assert verdicts.all_of(["holds", "undecided"]) == "undecided"
    assert verdicts.all_of(["undecided", "fails", "holds"]) == "fails"


def test_two_rows_are_compared_by_the_error_of_their_difference():
    assert verdicts.contrast(row(5.0, 0.3), row(3.9, 0.4), "modes")[1] == "holds"
    assert verdicts.contrast(row(4.8, 0.3), row(3.9, 0.4), "modes")[1] == "undecided"
    assert verdicts.contrast(row(3.9, 0.3), row(5.0, 0.4), "modes")[1] == "fails"
    assert verdicts.contrast(row(9.0, None), row(1.0, 0.1), "modes")[1] == "undecided"
    whole = row(8.0, 0.0)
    assert verdicts.contrast(row(7.9, 0.1), whole, "modes", ">=", -0.5)[1] == "holds"
    assert verdicts.contrast(row(7.9, 0.3), whole, "modes", ">=", -0.5)[1] == "undecided"
    assert verdicts.contrast(row(6.8, 0.3), whole, "modes", ">=", -0.5)[1] == "fails"
    assert verdicts.contrast(row(8.0, None), whole, "modes", ">=", -0.5)[1] == "undecided"


def test_differences_by_seed_forget_what_the_seeds_have_in_common():
    hard = report.row("full", {"modes": [8.0, 2.0, 5.0]})
    easy = report.row("latin", {"modes": [7.0, 2.0, 5.0]})
    text, outcome = verdicts.contrast(
        hard, easy, "modes", "<=", 1.0, by_seed=True
    )  # 1, 0, 0: 1/3 +- 1/3
    assert (text, outcome) == ("difference 0.33, standard error 0.33", "holds")
    assert verdicts.contrast(hard, easy, "modes", "<=", 0.99, by_seed=True)[1] == "undecided"
    assert verdicts.contrast(hard, easy, "modes", "<=", 1.0)[1] == "undecided"
    one = report.row("one seed", {"modes": [8.0]})
    assert verdicts.contrast(one, one, "modes", "<=", 1.0, by_seed=True)[1] == "undecided"


def test_a_slope_is_that_of_the_line_through_the_means_and_its_error_that_of_the_slopes_by_seed():
    """Of many seeds whose rows are independent, the error is the standard error of the seeds' slopes."""
    places = np.log([1, 2, 3, 5])
    values = np.random.default_rng(0).normal(2.0 * places, [1.0, 0.5, 2.0, 1.5], (2000, 4))
    rows = [report.row("", {"modes": column}) for column in values.T]
    by_seed = np.polyfit(places, values.T, 1)[0]
    text, outcome = verdicts.trend(rows, places, "modes")
    slope, error = by_seed.mean(), by_seed.std(ddof=1) / math.sqrt(2000)
    assert text.startswith(f"slope {slope:.3g}, standard error {error:.1g}")
    assert outcome == "holds"
    assert verdicts.trend(rows, places, "modes", "<")[1] == "fails"
    assert verdicts.trend(rows[:1], places[:1], "modes")[1] == "undecided"


def test_means_out_of_order_leave_a_rise_that_holds():
    """What another processor gave: 5.75 and 5.00 in the middle, and every contrast by more than three errors."""
    rows = [row(2.75, 0.5), row(5.75, 0.5), row(5.0, 0.5), row(7.75, 0.25)]
    rows.insert(1, row(2.5, 0.5))
    named = [{**found, "method": f"row {index}"} for index, found in enumerate(rows)]
    config = dataclasses.replace(mix_gan_ring.PRESETS["cpu"], components=(1, 2, 3, 5))
    verdict = mix_gan_ring.judge(config, named)
    assert [line["outcome"] for line in verdict] == ["holds"] * 3
    flat = [{**found, "modes_mean": 5.0} for found in named]
    assert [line["outcome"] for line in mix_gan_ring.judge(config, flat)] == ["undecided"] * 3


def test_an_exponent_agrees_only_if_its_interval_is_narrow():
    def fit(low, high, seeds=4):
        return {"low": low, "high": high, "by_seed": [0.0] * seeds}

    assert exponents.agrees(fit(-0.53, -0.48), -0.5) == "holds"
    assert exponents.agrees(fit(-0.7, -0.4), -0.5) == "undecided"
    assert exponents.agrees(fit(-0.47, -0.45), -0.5) == "fails"
    assert exponents.agrees(fit(-0.5, -0.5, seeds=1), -0.5) == "undecided"


def test_learned_weights_that_cannot_be_told_from_uniform_ones_are_undecided():
    mixture = {"method": "MIX+GAN k=3", "nash_conv_mean": 0.0213, "nash_conv_stderr": 0.004}
    mixture |= {"nash_conv_uniform_mean": 0.0226, "nash_conv_uniform_stderr": 0.004}
    (line,) = mix_gan_mnist.judge_rows([mixture])
    assert line["outcome"] == "undecided"


def test_counts_show_all_three_outcomes_and_old_lines_are_read():
    lines = [{"holds": True}, {"holds": False}, {"outcome": "undecided"}, {"outcome": "holds"}]
    assert verdicts.count(lines) == "2 of 4 claims hold, 1 fails, 1 undecided"
    assert verdicts.count(lines[:1]) == "1 of 1 claims hold"
    words = {"claim": "c", "expected": "e", "got": "g"}
    rows = [{"method": "GAN", "n": 4}]
    results = {"experiment": "x", "preset": "cpu", "columns": {}, "rows": rows, "seconds": 60.0}
    results |= {"hardware": "none", "verdict": [words | line for line in lines[:3]]}
    text = pages.markdown(results)
    assert "- Holds: c" in text
    assert "- **Fails**: c" in text
    assert "- *Undecided*: c" in text


def test_kept_results_are_judged_anew_from_their_rows_and_other_lines_are_kept(tmp_path):
    rows = [{**row(mean, 0.5), "method": f"k = {k}"} for k, mean in ((1, 3.0), (0, 2.0), (5, 7.0))]
    config = json.loads(json.dumps(dataclasses.asdict(mix_gan_ring.PRESETS["cpu"])))
    old = {"claim": "c", "expected": "e", "got": "g", "holds": False}
    results = {"config": config | {"components": [1, 5]}, "rows": rows, "verdict": [old]}
    verdict, part = rejudge.rejudge(mix_gan_ring, results)
    assert part == "all"
    assert [line["outcome"] for line in verdict] == ["holds"] * 3
    assert "modes rise with k = 1, 5" in verdict[0]["claim"]
    path = tmp_path / "mix_gan_ring.cpu.json"
    path.write_text(json.dumps(results))
    assert rejudge.rejudge_file(mix_gan_ring, path).startswith("mix_gan_ring.cpu.json: 3 of 3")
    assert json.loads(path.read_text())["verdict"] == verdict
    weights = dataclasses.asdict(mix_weights.PRESETS["cpu"])
    results = {"config": weights, "rows": rows, "verdict": [old]}
    verdict, part = rejudge.rejudge(mix_weights, results)
    assert part == "nothing: the rows do not tell enough"
    assert verdict == [{"claim": "c", "expected": "e", "got": "g", "outcome": "fails"}]


@pytest.mark.parametrize("path", first_quick(pages.stored_files()), ids=lambda path: path.name)
def test_every_kept_verdict_is_that_of_its_rows(path):
    """Verdicts and scripts agree; the numbers in words may differ in rounding from one processor to the next."""

    def outcomes(verdict):
        return {line["claim"]: line["outcome"] for line in verdict}

    results = json.loads(path.read_text())
    script = catalogue.load(path.name.split(".")[0])
    fresh, _ = rejudge.rejudge(script, results)
    assert outcomes(fresh) == outcomes(results["verdict"])


def test_other_seeds_have_a_folder_of_their_own_and_are_not_the_preset(tmp_path):
    def start(*arguments):
        return harness.start(
            "mix_gan_ring", "doc", mix_gan_ring.PRESETS, ["--runs", str(tmp_path), *arguments]
        )

    plain, zero, other = start(), start("--seed-offset", "0"), start("--seed-offset", "100")
    count = plain.config.seeds
    assert plain.folder == zero.folder != other.folder
    assert (plain.seeds, other.seeds) == (range(count), range(100, 100 + count))
    assert (plain.is_preset, other.is_preset) == (True, False)
    keys = harness.seed_keys(other.seeds)
    assert keys.shape == (count,)
    assert keys[0] == jax.random.key(100)
    with pytest.raises(SystemExit):
        start("--seed-offset", "-1")


def test_a_scripts_own_loops_take_the_other_seeds_too(tmp_path):
    """The second of seeds 0, 1 is the first of seeds 1, 2, in a script that trains nothing by ``harness.train``."""

    def least(offset):
        arguments = ["--preset", "smoke", "--runs", str(tmp_path), "--seed-offset", str(offset)]
        run = harness.start("theory_packing", "doc", theory_packing.PRESETS, arguments)
        return theory_packing.measure(run, 2)["least"]

    first, other = least(0), least(1)
    assert first[1] == other[0]
    assert first[0] != other[0]
