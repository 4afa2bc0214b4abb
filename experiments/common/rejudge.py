"""Judging kept results anew from their rows, where claims or their rules have changed: no run is repeated."""

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from experiments.common import verdicts
from mixgan_jax.files import read_json, write_json


def rejudge(script: ModuleType, results: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Judges kept results by the rules of today.

    A script's ``judge`` is called if config and rows are all that it needs; else its ``judge_rows``, which judges what
    rows tell. The other lines, judged by what was measured beside the rows, are kept.

    Args:
        script: the experiment.
        results: those kept.

    Returns:
        The verdict, and which part of it is new, in words.
    """
    given = {"config": config_of(script, results["config"]), "rows": results["rows"]}
    judges = [getattr(script, name, None) for name in ("judge", "judge_rows")]
    for judge, part in zip(judges, ("all", "what the rows tell"), strict=True):
        names = inspect.signature(judge).parameters if judge else {"nothing": None}
        if set(names) <= set(given):
            try:
                fresh = judge(**{name: given[name] for name in names})
            except KeyError as missing:
                return _kept(results, []), f"nothing: the rows lack {missing}"
            return (fresh if part == "all" else _kept(results, fresh)), part
    return _kept(results, []), "nothing: the rows do not tell enough"


def _kept(results: dict[str, Any], fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the kept lines in today's form, with fresh ones in their places."""
    by_claim = {line["claim"]: line for line in fresh}
    kept = []
    for line in results["verdict"]:
        new = by_claim.pop(line["claim"], None)
        words = (line["claim"], line["expected"], line["got"])
        kept.append(new or verdicts.claim(*words, verdicts.outcome_of(line)))
    return [*kept, *by_claim.values()]


def config_of(script: ModuleType, values: dict[str, Any]) -> Any:
    """Makes a script's config from its entry in a results file; later fields have their defaults."""
    config = type(next(iter(script.PRESETS.values())))
    return config(**{name: _as_tuples(value) for name, value in values.items()})


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(entry) for entry in value) if isinstance(value, list) else value


def rejudge_file(script: ModuleType, path: Path) -> str:
    """Rewrites the verdict in a results file; what was done, in words."""
    results = read_json(path, "restore it from the repository")
    results["verdict"], part_judged = rejudge(script, results)
    write_json(path, results)
    return f"{path.name}: {verdicts.count(results['verdict'])}; judged anew: {part_judged}"
