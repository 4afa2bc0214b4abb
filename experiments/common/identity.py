"""The identity of a run: the name that its config gives its folder, and the config kept there."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixgan_jax.files import read_json
from mixgan_jax.storage.records import CONFIG_NAME, store_config


def fingerprint(config: Any) -> str:
    """Returns eight hexadecimal digits that tell configs apart.

    Fields at their defaults are left out: a field that is added to a ``Config`` does not move the runs before it.
    """
    values = dataclasses.asdict(config)
    changed = {name: values[name] for name in values if name not in _at_default(config)}
    text = json.dumps(changed, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _at_default(config: Any) -> set[str]:
    """Returns the fields that have the defaults of their class."""

    def default(field: dataclasses.Field) -> Any:
        made = field.default_factory
        return field.default if made is dataclasses.MISSING else made()

    fields = dataclasses.fields(config)
    return {field.name for field in fields if getattr(config, field.name) == default(field)}


def as_known(config: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config as JSON, without fields at their defaults that ``known``, written earlier, lacks."""
    values = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    late = _at_default(config) - known.keys()
    return {name: value for name, value in values.items() if name not in late}


def store_config_of(folder: Path, config: Any) -> Mapping[str, Any]:
    """Returns the config as the run folder has kept it since its first start; refuses one that differs.

    A default that has changed since is a difference too, though the folder's name does not show it.
    """
    path = folder / CONFIG_NAME
    known = dataclasses.asdict(config)
    if path.exists():
        known = read_json(path, "delete it, and this start's config is written in its place")
    values = as_known(config, known)
    store_config(folder, values)
    return values
