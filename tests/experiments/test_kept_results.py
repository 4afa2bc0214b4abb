"""What experiments/results holds: results of today's presets, the pictures that they name, and little else."""

import pytest
from PIL import Image

from experiments.common import catalogue, identity, pages, report
from mixgan_jax.files import read_json

FILES = [*report.RESULTS.glob("*.*"), *report.RESULTS.glob("*/*.*")]
# Results of a preset that has changed since, and that is run again.
STALE: set[str] = set()


def test_kept_results_are_small():
    """A clone is quick: PNGs of few colours, no SVG, and numbers that fill their lines."""
    sizes = {path.name: path.stat().st_size for path in FILES}
    assert {path.suffix for path in FILES} == {".json", ".png"}
    assert sum(sizes.values()) < 5_000_000
    assert max(sizes.values()) < 350_000, max(sizes, key=sizes.get)


def test_pictures_have_few_colours():
    for path in FILES:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.mode == "P", f"{path.name}: keep it by report.keep_picture"


def test_results_and_pictures_belong_together():
    named = set()
    for path in pages.stored_files():
        figures = read_json(path, "").get("figures", {})
        named |= {f"{path.stem}.{name}.png" for name in figures}
    shown = {path.name for path in report.RESULTS.glob("*.png")}
    assert named <= shown
    # Results that are older than the entry "figures" do not name their pictures.
    unnamed = {name.rsplit(".", 2)[0] for name in shown - named}
    assert all("figures" not in read_json(report.RESULTS / f"{stem}.json", "") for stem in unnamed)


@pytest.mark.parametrize("path", pages.stored_files(), ids=lambda path: path.stem)
def test_kept_results_are_those_of_todays_presets(path):
    if path.stem in STALE:
        pytest.skip("this preset has changed, and is run again")
    results = read_json(path, "")
    preset = catalogue.load(results["experiment"]).PRESETS[results["preset"]]
    assert path.stem == f"{results['experiment']}.{results['preset']}"
    assert results["config"] == identity.as_known(preset, results["config"])
    assert results["seeds"] == list(range(preset.seeds))
