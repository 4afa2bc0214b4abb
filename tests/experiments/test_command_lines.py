"""Command lines at random, and some that are wrong in a known way: a message and status 2, never a traceback."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import numpy as np
import pytest
from helpers import first_quick
from hypothesis import example, given, strategies as st

import mixgan_jax as mg
from experiments import __main__ as overview
from experiments.common import catalogue, harness, options, plane
from experiments.family import stacked_mnist
from experiments.images import mix_gan_cifar10, mix_gan_mnist
from experiments.mixtures import mix_gan_ring, mix_weights, pairing, sparse_pairing
from experiments.rotation import dirac_gan, jare
from experiments.theorems import theory_equilibrium_exists, theory_small_mixtures
from experiments.width import overparam_features, overparam_gda, overparam_mnist

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {name: catalogue.load(name) for name in catalogue.scripts()}


class TrainingStarts(Exception):
    """Raised in place of all that takes long."""


def stop(*arguments, **options):
    raise TrainingStarts


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Nothing is trained, and what is written lands in a folder of the test's."""
    monkeypatch.setattr(harness, "train", stop)
    monkeypatch.setattr(harness, "once", stop)
    for script in (mix_gan_mnist, overparam_mnist, stacked_mnist):
        monkeypatch.setattr(script, "load_or_train", stop)
    monkeypatch.setattr(harness, "commit", lambda: "none")
    monkeypatch.setattr(harness, "use_caches", lambda: None)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    folder = tmp_path / "somewhere" / "below"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def outcome(main, argv, capsys):
    """``None`` where training would start, else the exit status; with what was printed."""
    status = None
    try:
        main(argv)
    except TrainingStarts:
        pass
    except SystemExit as end:
        status = 0 if end.code is None else end.code
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def flags(script) -> list[str]:
    fields = dataclasses.fields(script.PRESETS["smoke"])
    return [f"--{field.name.replace('_', '-')}" for field in fields]


numbers = st.sampled_from(["nan", "inf", "-inf", "-1", "0", "1", "2", "3.5", "1e-50", "1e300"])
words = st.sampled_from(
    [
        *(
            "",
            " ",
            "-",
            "--",
            "smoke",
            "paper",
            "smokey",
            "ring",
            "digits",
            "True",
            "None",
            "hinge",
        ),
        *("ünïcödé ✓", "٣", "a" * 300, "9" * 5000, "no/such/folder", "/dev/null", "/proc/none"),
        *("~x", "\0"),
    ]
)
values = st.one_of(numbers, words, st.text(max_size=5).filter(lambda text: "/" not in text))


def command_lines(script) -> st.SearchStrategy[list[str]]:
    known = st.sampled_from(
        [*flags(script), "--preset", "--runs", "--help", "--nonsense", "-h", "-x"]
    )
    parts = st.one_of(
        st.tuples(known),
        st.tuples(known, values),
        st.tuples(known, values, values),
        st.tuples(values),
        st.builds(lambda flag, value: (f"{flag}={value}",), known, values),
    )
    return st.lists(parts, max_size=4).map(lambda found: [word for part in found for word in part])


@pytest.mark.parametrize("name", first_quick(SCRIPTS))
@given(data=st.data())
def test_no_command_line_of_an_experiment_ends_in_a_traceback(name, data, quick, capsys):
    argv = data.draw(command_lines(SCRIPTS[name]))
    status, text = outcome(SCRIPTS[name].main, argv, capsys)
    assert status in (None, 0, 2)
    assert "Traceback" not in text
    assert text.strip() or status is None


@given(argv=st.lists(st.one_of(st.sampled_from(["--pages", "--help", "-x"]), values), max_size=3))
@example(argv=["--pages", "--pages"])
def test_no_command_line_of_the_overview_ends_in_a_traceback(argv, quick, capsys, monkeypatch):
    monkeypatch.setattr(overview, "all_pages", dict)
    status, text = outcome(overview.main, argv, capsys)
    assert status in (None, 0, 2)
    assert "Traceback" not in text


BAD_VALUES = {
    options.Count: ["0", "-3", "99999999999"],
    options.Samples: ["1", "-3"],
    options.Budget: ["-1"],
    options.Rate: ["-0.5", "nan", "inf", "1e300"],
    options.Positive: ["0", "-1", "nan", "1e-60"],
    options.Fraction: ["0", "1", "nan"],
    options.Share: ["-0.1", "1.1", "nan"],
    options.Decay: ["1", "-0.1", "nan"],
    options.LossName: ["non_saturatin", "", "measuring"],
    options.Components: ["0", "-1"],
    options.ComponentsToCompare: ["1", "0"],
    options.Sizes: ["0", "-1"],
    options.SizesReachingFive: ["0", "4"],
    options.Degrees: ["0", "-1"],
    options.Tolerances: ["0", "-0.1", "nan"],
}
NUMBERS = (int, float, tuple[int, ...])


def ruled_fields(script) -> dict[str, object]:
    """The fields of a script's Config that have bad values, and their rules."""
    hints = get_type_hints(script.Config, include_extras=True)
    return {field: hint for field, hint in hints.items() if hint in BAD_VALUES}


def assert_refused(name, field, value, capsys):
    flag = f"--{field.replace('_', '-')}"
    status, text = outcome(SCRIPTS[name].main, [flag, value], capsys)
    assert status == 2
    assert f"{name}: {flag} must " in text
    assert "got" in text


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        pytest.param(rule, value, id=f"{number}-{value}")
        for number, (rule, values) in enumerate(BAD_VALUES.items())
        for value in values
    ],
)
def test_a_bad_value_is_refused_before_any_work(rule, value, quick, capsys):
    """By the first script that has the rule; the next test sees that all scripts obey theirs."""
    has = (
        (n, f) for n, s in SCRIPTS.items() for f, hint in ruled_fields(s).items() if hint == rule
    )
    assert_refused(*next(has), value, capsys)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_refuses_a_bad_value_of_each_field(name, quick, capsys):
    """The first one by the command line, all by the function that the command line calls."""
    fields = ruled_fields(SCRIPTS[name])
    first = next(iter(fields))
    assert_refused(name, first, BAD_VALUES[fields[first]][0], capsys)
    for field, rule in fields.items():
        kind = get_type_hints(SCRIPTS[name].Config)[field]
        for text in BAD_VALUES[rule]:
            value = parsed(text, kind)
            config = dataclasses.replace(SCRIPTS[name].PRESETS["smoke"], **{field: value})
            with pytest.raises(ValueError, match=f"--{field.replace('_', '-')} must .*got"):
                options.check_config(config)


def parsed(text: str, kind: object) -> object:
    """A value of a flag as tyro makes it: a number, a string, or a tuple of one number."""
    inner = get_args(kind)[0] if get_args(kind) else kind
    return (inner(text),) if get_origin(kind) is tuple else inner(text)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_number_of_a_config_has_a_rule(name):
    hints = get_type_hints(SCRIPTS[name].Config, include_extras=True)
    bare = [field for field, hint in hints.items() if hint in NUMBERS]
    assert not bare, f"give {bare} one of the types of experiments/common/options.py"


@pytest.mark.parametrize("name", SCRIPTS)
def test_presets_keep_their_own_rules(name):
    for preset in SCRIPTS[name].PRESETS.values():
        options.check_config(preset)
        SCRIPTS[name].check(preset)


def test_a_loss_may_be_named_and_the_nearest_is_suggested(quick, capsys):
    status, text = outcome(mix_gan_ring.main, ["--loss", "non_saturatin"], capsys)
    assert status == 2
    assert "did you mean 'non_saturating'?" in text
    config = dataclasses.replace(mix_gan_ring.PRESETS["smoke"], loss="hinge")
    setup = plane.build(config, mix_gan_ring.methods(config)[0])
    assert setup.loss.name == "hinge"
    with pytest.raises(AttributeError, match="did you mean 'non_saturating'"):
        mg.losses.non_saturatin  # noqa: B018


@pytest.mark.parametrize(
    ("script", "argv", "message"),
    [
        (
            mix_gan_ring,
            ["--latin", "True", "--batch", "1"],
            "--batch must be larger for k = 5, got 1",
        ),
        (pairing, ["--batch", "64"], "--batch must be a multiple of k = 5, got 64"),
        (pairing, ["--components", "3", "5"], "--components must be one number, got (3, 5)"),
        (sparse_pairing, ["--components", "6"], "--components must be a multiple of 4, got 6"),
        (jare, ["--gammas", "10", "10"], "--gammas must differ from each other, got (10.0, 10.0)"),
        (dirac_gan, ["--step-size", "0.6"], "--step-size must be at most 0.5, got 0.6"),
        (dirac_gan, ["--steps", "500"], "--steps must be at least 100 / step size = 1000, got 500"),
        (mix_weights, ["--steps", "75"], "--steps must be a multiple of 50, got 75"),
        (mix_weights, ["--batch", "64"], "--batch must be a multiple of 5, got 64"),
        (theory_small_mixtures, ["--size", "100"], "--size must be a multiple of 16, got 100"),
        (theory_small_mixtures, ["--steps", "100"], "--steps must be a multiple of 16, got 100"),
        (
            theory_small_mixtures,
            ["--strategies", "8", "16"],
            "--strategies must hold 8 and two more",
        ),
        (mix_gan_cifar10, ["--batch", "31"], "--batch must be a multiple of the 3 discriminators"),
        (mix_gan_cifar10, ["--dataset", "digits", "--batch", "240"], "--batch must be at most 180"),
        (
            mix_gan_cifar10,
            ["--dataset", "digits", "--samples", "2000"],
            "--samples must be at most",
        ),
        (mix_gan_cifar10, ["--samples", "17"], "--samples must be 18 or more, got 17"),
        (mix_gan_cifar10, ["--families", "r3"], "--pairings must be full with r3"),
        (mix_gan_cifar10, ["--families", "dcgan", "dcgan"], "--families must be one or more"),
        (mix_gan_mnist, ["--batch", "61"], "--batch must be a multiple of the 3 discriminators"),
        (
            mix_gan_mnist,
            ["--dataset", "digits", "--batch", "240"],
            "--batch must be at most half of the 360 test images, got 240",
        ),
        (overparam_gda, ["--widths", "5", "32", "64"], "--widths must start below the dimension 5"),
        (overparam_gda, ["--edge-width", "16"], "--edge-width must be at least 32, got 16"),
        (overparam_gda, ["--ratio", "1"], "--ratio must be below 1, got 1.0"),
        (overparam_features, ["--features", "8"], "--features must be two or more, got (8,)"),
        (overparam_mnist, ["--widths", "8"], "--widths must be two or more, got (8,)"),
        (theory_equilibrium_exists, ["--mixtures", "8"], "--mixtures must be two or more"),
        (
            theory_equilibrium_exists,
            ["--folded-samples", "65"],
            "--folded-samples must be a multiple of 64",
        ),
    ],
)
def test_fields_that_do_not_fit_each_other_are_refused(script, argv, message, quick, capsys):
    status, text = outcome(script.main, argv, capsys)
    assert status == 2
    assert message in text


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/none"])
def test_a_folder_that_cannot_be_written_is_named(where, quick, capsys):
    (quick / "file").write_text("in the way")
    status, text = outcome(mix_gan_ring.main, ["--runs", where], capsys)
    assert status == 2
    assert "--runs must be where files can be written" in text
    assert where in text


def test_a_cache_that_cannot_be_written_is_named_and_no_reason_to_stop(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(harness, "train", stop)
    monkeypatch.setattr(harness, "once", stop)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="XDG_CACHE_HOME must be where files can be written"):
        status, _ = outcome(mix_gan_ring.main, ["--runs", str(tmp_path / "runs")], capsys)
    assert status is None


def images(count: int = 200, side: int = 8, dtype=np.uint8) -> np.ndarray:
    return np.zeros((count, side, side), dtype)


def write_set(folder: Path, kind: str) -> None:
    labels = np.zeros(200, np.int64)
    arrays = {
        "floats": {"train_images": images(dtype=np.float32)},
        "no labels": {"train_images": images()},
        "no images": {"pictures": images()},
        "odd sides": {
            **{"train_images": images(side=7), "train_labels": labels},
            **{"test_images": images(side=7), "test_labels": labels},
        },
    }
    if kind == "another set":
        np.savez(folder / "fashion.npz", **arrays["no labels"])
    elif kind == "damaged":
        np.savez(folder / "mnist.npz", **arrays["no labels"])
        whole = (folder / "mnist.npz").read_bytes()
        (folder / "mnist.npz").write_bytes(whole[: len(whole) // 2])
    elif kind == "objects":
        np.savez(folder / "mnist.npz", train_images=np.array([None, "a"], object))
    elif kind == "damaged description":
        (folder / "mnist" / "3.0.1").mkdir(parents=True)
        (folder / "mnist" / "3.0.1" / "dataset_info.json").write_text("{")
    elif kind != "empty":
        np.savez(folder / "mnist.npz", **arrays[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "is empty"),
        ("another set", "fashion.npz"),
        ("damaged", "must be a complete .npz file"),
        ("objects", "must be a complete .npz file of plain arrays"),
        ("floats", "train_images must be uint8"),
        ("no labels", "--dataset must have labels"),
        ("no images", "must hold the key 'train_images', got the keys ['pictures']"),
        ("odd sides", "shape must have height and width divisible by 4"),
        ("damaged description", "dataset_info.json"),
    ],
)
def test_data_that_cannot_be_used_say_why(kind, message, quick, capsys):
    folder = quick / "data"
    folder.mkdir()
    write_set(folder, kind)
    status, text = outcome(mix_gan_mnist.main, ["--data-dir", str(folder)], capsys)
    assert status == 2
    assert message in text


def test_a_file_in_place_of_the_data_folder_is_named(quick, capsys):
    (quick / "data").write_text("no folder")
    status, text = outcome(mix_gan_mnist.main, ["--data-dir", "data"], capsys)
    assert status == 2
    assert "data_dir must be an existing folder, got 'data' (a file)" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    first_quick(
        [
            (["mix_gan_ring", "--learning-rate", "nan"], "--learning-rate must be"),
            (
                ["mixgan_ring"],
                "NAME must be an experiment, got 'mixgan_ring': did you mean mix_gan_ring",
            ),
            (["mix_gan_mnist", "--data-dir", "no such folder"], "nothing there"),
            (["--nonsense"], "unrecognized arguments: --nonsense"),
        ],
        quick=2,
    ),
)
def test_a_process_says_it_and_ends_with_status_2(argv, message, tmp_path):
    command = [sys.executable, "-m", "experiments", *argv]
    environment = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
