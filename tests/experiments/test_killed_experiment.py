"""A whole experiment killed in its last method and started again: the numbers of the uninterrupted one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.common import harness
from experiments.mixtures import mix_gan_ring

STEPS, EVERY = 30, 10
KILLED_AT = 20
OPTIONS = ["--preset", "smoke", "--components", "1", "2", "--steps", str(STEPS)]
OPTIONS += ["--log-every", str(EVERY)]


class Killed(Exception):
    """Raised from ``on_log``, where a real kill would strike."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches go to the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def two_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first and the last row, no verdict, no figures: the test costs what it compiles."""
    methods = mix_gan_ring.methods
    monkeypatch.setattr(
        mix_gan_ring, "methods", lambda config: [*methods(config)[:1], methods(config)[-1]]
    )
    monkeypatch.setattr(mix_gan_ring, "judge", lambda config, rows: [])
    monkeypatch.setattr(
        mix_gan_ring, "draw", lambda run, states, rows: {"samples": run.folder / "samples.png"}
    )


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, list[int]]]:
    """Starts the experiment; the steps that each method logged. ``kill`` is a method and the step it dies at."""
    method = harness.ProgressBar.method

    def run(runs: Path, kill: tuple[str, int] | None = None) -> dict[str, list[int]]:
        seen: dict[str, list[int]] = {}

        def watched(self: harness.ProgressBar, name: str, *rest: Any, **more: Any) -> Any:
            on_log = method(self, name, *rest, **more)
            steps = seen.setdefault(name, [])

            def callback(step: int, info: Any) -> None:
                steps.append(step)
                if (name, step) == kill:
                    raise Killed
                on_log(step, info)

            return callback

        monkeypatch.setattr(harness.ProgressBar, "method", watched)
        arguments = [*OPTIONS, "--runs", str(runs)]
        if kill is None:
            mix_gan_ring.main(arguments)
        else:
            with pytest.raises(Killed):
                mix_gan_ring.main(arguments)
        return seen

    return run


def one(runs: Path, pattern: str) -> Path:
    (path,) = runs.glob(f"mix_gan_ring/smoke-*/{pattern}")
    return path


def rows(runs: Path) -> list[dict[str, Any]]:
    table = json.loads(one(runs, "results.json").read_text())["rows"]
    return [{name: row[name] for name in row if name != "seconds"} for row in table]


def logs(runs: Path) -> dict[str, str]:
    folder = one(runs, "results.json").parent
    return {path.parent.name: path.read_text() for path in folder.glob("*/metrics.jsonl")}


@pytest.mark.slow
def test_an_experiment_killed_in_its_last_method_goes_on_there(tmp_path: Path, start) -> None:
    every_step = list(range(EVERY, STEPS + 1, EVERY))
    whole = start(tmp_path / "whole")
    finished, last = whole
    assert all(steps == every_step for steps in whole.values())

    killed = start(tmp_path / "cut", kill=(last, KILLED_AT))
    assert killed[last][-1] == KILLED_AT
    assert not list((tmp_path / "cut").glob("mix_gan_ring/*/results.json"))

    resumed = start(tmp_path / "cut")
    assert resumed == {finished: [], last: [STEPS]}, "the checkpoint comes before the callback"
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert logs(tmp_path / "cut") == logs(tmp_path / "whole")
