"""The layout of a checkpoint: path, shape, dtype and checksum of every leaf.

Neither Orbax nor TensorStore notices a flipped bit in an array's data; the checksums reveal it.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.storage.checksums import checksums, matches
from mixgan_jax.storage.records import differences
from mixgan_jax.types import Tree


class LayoutError(ValueError):
    """The checkpoint is whole, but not what was asked for: an older one would not help."""


def check_savable(tree: Tree) -> None:
    """Refuses a tree that Orbax cannot write: a leaf of size 0, or two leaves for one place.

    Shapes and dtypes are enough.
    """
    seen: set[str] = set()
    for path, leaf in jax.tree.leaves_with_path(tree):
        place = jax.tree_util.keystr(path, simple=True, separator=".")
        if getattr(leaf, "size", 1) == 0:
            raise ValueError(f"state must have no arrays of size 0 to be saved, got {place}")
        if place in seen:
            raise ValueError(f"state must have names that differ to be saved, got {place} twice")
        seen.add(place)


def describe_trees(trees: Mapping[str, Tree], log: object = None) -> dict[str, Any]:
    """Describes all items of a checkpoint in plain JSON, with a checksum; keeps ``log`` there in the same way."""
    items = {item: _with_checksums(tree) for item, tree in trees.items()}
    classes = {item: _node_classes(tree) for item, tree in trees.items()}
    kept = {} if log is None else {"log": log, "log_checksum": _text_checksum(log)}
    return {"items": items, "checksum": _text_checksum(items), "classes": classes, **kept}


def read_log(stored: Mapping[str, Any]) -> Any:
    """Returns the ``log`` that :func:`describe_trees` got; None where it got none, or where it is damaged."""
    log = stored.get("log")
    return log if _text_checksum(log) == stored.get("log_checksum") else None


def read_layout(step: int, stored: Mapping[str, Any], item: str) -> list[list[Any]]:
    """Returns the entries ``[path, shape, dtype, checksum]`` of an item.

    Raises:
        LayoutError: there is no such item.
        ValueError: the layout is damaged.
    """
    items = stored["items"]
    if _text_checksum(items) != stored["checksum"]:
        raise ValueError("its layout does not have the checksum that was stored with it")
    if item not in items:
        raise LayoutError(f"the checkpoint at step {step} holds {sorted(items)} but no {item!r}")
    return items[item]


def read_classes(stored: Mapping[str, Any], item: str) -> list[str]:
    """Returns the names of the classes inside an item that come back as dicts without a template."""
    return stored.get("classes", {}).get(item, [])


def compare_layout(step: int, stored: list[list[Any]], like: Tree) -> None:
    """Raises a LayoutError that names the first few leaves in which ``like`` differs from the stored tree."""
    lines = differences(
        {name: f"{tuple(shape)} {dtype}" for name, shape, dtype, _ in stored},
        {name: f"{tuple(shape)} {dtype}" for name, shape, dtype in _entries(like)},
    )
    if len(lines) > 8:
        lines = [*lines[:8], f"and {len(lines) - 8} more"]
    if lines:
        where = f"the tree of the checkpoint at step {step}"
        raise LayoutError("\n  ".join([f"like must have {where}; they differ in", *lines]))


def verify(stored: list[list[Any]], tree: Tree) -> None:
    """Raises a ValueError that names a leaf if the restored tree is not what was saved."""
    expected = {entry[0]: (entry[:3], entry[3]) for entry in stored}
    for found, leaf in zip(_entries(tree), jax.tree.leaves(tree), strict=True):
        # A tree with other nodes than dicts has other names when it is read without a template.
        entry, checksum = expected.get(found[0], (found, None))
        if found != entry or (checksum is not None and not matches(leaf, checksum)):
            raise ValueError(f"{found[0]} is not what was stored: dtype, shape or checksum differ")


def _node_classes(tree: Tree) -> list[str]:
    """Lists the names of classes below a tree's root other than dicts, lists and tuples, sorted."""

    def walk(structure: Any) -> set[str]:
        node = structure.node_data()
        plain = not node or node[0] in (list, tuple, type(None)) or issubclass(node[0], Mapping)
        own = set() if plain else {node[0].__name__}
        return own.union(*map(walk, structure.children()))

    root: Any = jax.tree.structure(tree)
    return sorted(set().union(*map(walk, root.children())))


def _with_checksums(tree: Tree) -> list[list[Any]]:
    pairs = zip(_entries(tree), checksums(jax.tree.leaves(tree)), strict=True)
    return [[*entry, checksum] for entry, checksum in pairs]


def _entries(tree: Tree) -> list[list[Any]]:
    def entry(path: Any, leaf: Any) -> list[Any]:
        if not hasattr(leaf, "dtype"):
            leaf = jax.eval_shape(lambda: jnp.asarray(leaf))
        return [_name(path), list(leaf.shape), str(leaf.dtype)]

    return [entry(path, leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _text_checksum(items: object) -> int:
    return zlib.crc32(json.dumps(items, sort_keys=True).encode())
