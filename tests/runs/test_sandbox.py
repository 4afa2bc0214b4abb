"""What an experiment may touch: it writes to its run folder and the cache, calls nobody, and unpickles nothing."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import first_quick

ROOT = Path(__file__).resolve().parents[2]

# Python reports these events before they happen, whichever library causes them. What compiled code does on its own
# it does not see: that is why the home and the working folder are looked at as well.
RUNNER = """
import json, os, runpy, sys

report, events = open(os.environ["AUDIT"], "w"), []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
PLACES = {"os.mkdir": [0], "os.rename": [0, 1], "os.remove": [0], "os.rmdir": [0], "os.symlink": [1], "os.link": [1]}

def place(path):
    return path if isinstance(path, int) else os.path.realpath(os.fsdecode(path))

def hook(event, given):
    if event == "open" and given[2] & WRITING:
        events.append((event, place(given[0])))
    elif event in PLACES:
        events.extend((event, place(given[index])) for index in PLACES[event])
    elif event in ("socket.connect", "socket.sendto"):
        events.append((event, given[1] if isinstance(given[1], str) else repr(given[1])))
    elif event in ("socket.getaddrinfo", "pickle.find_class"):
        events.append((event, repr(given[:2])))

sys.addaudithook(hook)
try:
    if len(sys.argv) == 2:
        exec(sys.argv[1])
    else:
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    json.dump(events, report)
"""
WRITES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link"}


def audited(folder: Path, *arguments: str) -> list[str]:
    """What a process did that it should not have done."""
    places = {name: folder / name for name in ("home", "working", "cache", "temp", "runs")}
    for path in places.values():
        path.mkdir()
    environment = os.environ | {
        "AUDIT": str(folder / "events.json"),
        "HOME": str(places["home"]),
        "XDG_CACHE_HOME": str(places["cache"]),
        "TMPDIR": str(places["temp"]),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",  # where compiled modules go is the interpreter's business
    }
    environment.pop("MPLCONFIGDIR", None)
    subprocess.run(
        [sys.executable, "-c", RUNNER, *arguments],
        cwd=places["working"],
        env=environment,
        capture_output=True,
        check=True,
    )
    allowed = [str(places[name].resolve()) for name in ("cache", "temp", "runs")]
    found = [
        f"{event}: {what}"
        for event, what in json.loads((folder / "events.json").read_text())
        if not is_harmless(event, what, allowed)
    ]
    left = [path for name in ("home", "working") for path in places[name].rglob("*")]
    return found + [f"left behind: {path}" for path in left]


def is_harmless(event: str, what: str | int, allowed: list[str]) -> bool:
    if event not in WRITES:
        return event == "socket.connect" and str(what).startswith("/")  # a socket of this machine
    if isinstance(what, int) or what in ("/dev/null", "/dev/tty"):
        return True
    return any(what == place or what.startswith(f"{place}/") for place in allowed)


@pytest.mark.parametrize(
    "name", first_quick(["theory_packing", "mix_gan_ring", "mix_gan_mnist", "theory_low_diversity"])
)
def test_an_experiment_stays_in_its_places(name, tmp_path):
    arguments = ["--preset", "smoke", "--runs", str(tmp_path / "runs")]
    assert audited(tmp_path, "experiments", name, *arguments) == []
    assert list((tmp_path / "runs").rglob("results.json"))


def test_the_audit_can_fail(tmp_path):
    code = """
import contextlib, os, pathlib, pickle, socket
pathlib.Path.home().joinpath("note").write_text("here")
os.mkdir("folder")
pickle.loads(pickle.dumps(pathlib.PurePosixPath("a")))
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", 9), timeout=1)
"""
    found = "\n".join(audited(tmp_path, code))
    for event in (
        "open: ",
        "os.mkdir: ",
        "pickle.find_class: ",
        "getaddrinfo: ",
        "socket.connect: ",
    ):
        assert event in found
    assert found.count("left behind: ") == 2


UNPICKLING = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
NETWORK = {"ftplib", "http", "requests", "socket", "urllib", "wget"}
DOWNLOADS = {
    "download",
    "download_and_extract",
    "download_and_prepare",
    "fetch_openml",
    "urlretrieve",
}
LOADERS = {"np.load", "numpy.load", "jnp.load", "tfds.load", "tfds.data_source", "torch.load"}
KNOWN = {
    # TFDS calls it so; the builder makes its images, and there is nothing to download.
    "experiments/benchmark/streaming.py": 1,
    # It names the error of a bad pickle.
    "mixgan_jax/metrics/inception.py": 1,
}


def dangers(source: str) -> list[str]:
    """What in a source could unpickle a file or reach the network."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or ""]
            found += [alias.name for alias in node.names if alias.name in DOWNLOADS]
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found += [f"{name}()" for name in names if name in LOADERS]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            safe = options.get("weights_only") == "True" or (
                options.get("allow_pickle") == "False"
                and options.get("download", "False") == "False"
            )
            if name.split(".")[-1] in DOWNLOADS or (name in LOADERS and not safe):
                found.append(f"{name}()")
    modules = UNPICKLING | NETWORK
    return [
        name
        for name in found
        if name.split(".")[0] in modules or name[-1] == ")" or name in DOWNLOADS
    ]


@pytest.mark.parametrize("folder", ["mixgan_jax", "experiments"])
def test_no_source_unpickles_or_downloads(folder):
    sources = sorted((ROOT / folder).rglob("*.py"))
    assert len(sources) > 5
    found = {
        path.relative_to(ROOT).as_posix(): dangers(path.read_text(encoding="utf-8"))
        for path in sources
    }
    assert not {path: names for path, names in found.items() if len(names) > KNOWN.get(path, 0)}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from torch import load",
        "import urllib.request",
        "from sklearn.datasets import fetch_openml",
        "np.load(path)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "builder.download_and_prepare()",
        "tfds.load('mnist')",
    ],
)
def test_the_scan_of_sources_can_fail(source):
    assert dangers(source)
    assert not dangers("import numpy as np\nnp.load(path, allow_pickle=False)")
