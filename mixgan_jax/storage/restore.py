"""Reads the newest checkpoint that is whole, on the devices that a template says."""

import warnings
from typing import Any

import jax

from mixgan_jax.messages import reason
from mixgan_jax.processes import gather
from mixgan_jax.storage import layout
from mixgan_jax.storage.manager import reading, stored_layout
from mixgan_jax.storage.placement import place, target
from mixgan_jax.types import Tree


def newest_readable(
    manager: Any, steps: list[int], item: str, like: Tree, stacklevel: int = 3
) -> tuple[int, Tree] | None:
    """Reads the newest checkpoint that is whole, and warns of damaged ones where ``stacklevel`` says."""
    failure: Exception | None = None
    for step in reversed(steps):
        own = ""
        try:
            with reading(manager) as reader:
                found = _read_item(reader, step, item, like)
        except layout.LayoutError:
            raise
        except Exception as error:  # Orbax, TensorStore and the file system each raise their own
            failure, own = error, reason(error)
        # Processes that train together read a part each, and all take the same checkpoint.
        reasons = [text for text in gather(own) if text]
        if not reasons:
            return step, found
        where = f"the checkpoint at step {step} of {manager.directory}"
        text = f"{where} cannot be read and is passed over ({reasons[0]})"
        warnings.warn(text, stacklevel=stacklevel)
    if steps:
        raise ValueError(f"no checkpoint of {manager.directory} can be read: {steps}") from failure
    return None


def _read_item(manager: Any, step: int, item: str, like: Tree) -> Tree:
    import orbax.checkpoint as ocp

    stored = layout.read_layout(step, stored_layout(manager, step), item)
    if like is None:
        tree = manager.item_metadata(step)[item].tree["root"]
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
    else:
        layout.compare_layout(step, stored, like)
    wanted = ocp.args.StandardRestore({"root": jax.tree.map(target, like)})
    restored = manager.restore(step, args=ocp.args.Composite(**{item: wanted}))[item]["root"]
    layout.verify(stored, restored)
    return jax.tree.map(place, restored, like)
