"""Type checkers see plain signatures: rules in annotations and ``@checked`` hide no argument and change no type."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).with_name("sample_of_user_code.py")
EXPECTED = {
    number: found[1]
    for number, line in enumerate(SAMPLE.read_text().splitlines(), start=1)
    if (found := re.search(r"# error: (.*)", line))
}


@pytest.fixture(scope="module")
def report() -> list[tuple[int, str, str]]:
    """What mypy says of the sample: lines, kinds and messages."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(SAMPLE)]
    run = subprocess.run(
        command, cwd=SAMPLE.parents[1], capture_output=True, text=True, check=False
    )
    assert not run.stderr
    lines = (re.match(r".*?\.py:(\d+): (\w+): (.*)", line) for line in run.stdout.splitlines())
    return [(int(found[1]), found[2], found[3]) for found in lines if found]


@pytest.mark.slow  # mypy without a cache takes 12 CPU seconds
def test_right_calls_pass_and_wrong_ones_do_not(report: list[tuple[int, str, str]]) -> None:
    errors: dict[int, str] = {}
    for number, kind, message in report:
        if kind == "error":
            errors[number] = errors.get(number, "") + message
    assert set(errors) == set(EXPECTED), errors
    for number, part in EXPECTED.items():
        assert part in errors[number]


@pytest.mark.slow
def test_signatures_are_plain(report: list[tuple[int, str, str]]) -> None:
    ring, key = [message for _, kind, message in report if message.startswith("Revealed")]
    assert "Annotated" not in ring + key
    assert ring.startswith('Revealed type is "def (num_modes: int =, radius: float =, std: ')
    assert ring.endswith('rotation: float =) -> mixgan_jax.data.synthetic.GaussianMixture"')
    assert key.endswith('Array, step: int) -> jax._src.basearray.Array"')
