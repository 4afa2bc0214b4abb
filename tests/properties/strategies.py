"""Good arguments from annotations: values that the rules allow, at sizes that a test can afford."""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import flax.linen as nn
import jax
import optax
from annotated_types import Ge, Gt, Le, Lt
from helpers import DISCRIMINATOR, GENERATOR
from hypothesis import strategies as st
from properties.arguments import array, counts, floats, keys, log_weights, weights

import mixgan_jax as mg
from mixgan_jax import checks
from mixgan_jax.checked import hints_of
from mixgan_jax.types import Shaped

Strategy = st.SearchStrategy[Any]

SHAPES = ((), (3,), (3, 2), (2, 3, 2), (2, 3, 2, 1))
"""The shape of an array by its rank."""

OF_RULES: dict[Any, Strategy] = {
    checks.check_key: keys,
    checks.check_weights: weights(3),
    checks.check_log_weights: log_weights(3),
    checks.check_number: floats(),
    checks.check_step_size: floats(0, 1) | st.just(optax.constant_schedule(0.1)),
}
OF_TYPES: dict[Any, Strategy] = {
    bool: st.booleans(),
    jax.Array: array(3, 2),
    mg.GanLoss: st.just(mg.losses.non_saturating()),
    mg.Player: st.just(DISCRIMINATOR),  # for a generator see below
    optax.GradientTransformation: st.just(optax.sgd(0.01)),
}


def strategy(hint: Any) -> Strategy | None:
    """Values that an annotation allows; None where it does not say enough."""
    if get_origin(hint) is Annotated:
        return _of_rule(*get_args(hint))
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        members = (st.none() if one is type(None) else strategy(one) for one in get_args(hint))
        some = [one for one in members if one is not None]
        return st.one_of(some) if some else None
    return OF_TYPES.get(hint) if isinstance(hint, type) else None


def _of_rule(kind: Any, *metadata: Any) -> Strategy | None:
    bounds = {type(bound): bound for bound in metadata}
    if Shaped in bounds:
        rank = bounds[Shaped].rank
        ranks = range(3) if rank is None else [rank] if isinstance(rank, int) else rank
        return st.one_of(array(*SHAPES[rank]) for rank in ranks)
    for rule in metadata:
        function = getattr(rule, "func", rule)  # of a partial
        if function in OF_RULES:
            return OF_RULES[function]
    if kind is int and Ge in bounds:
        return counts(bounds[Ge].ge + 3, low=bounds[Ge].ge)
    if kind is float and bounds:
        low = bounds[Gt].gt + 0.125 if Gt in bounds else bounds[Ge].ge if Ge in bounds else -4.0
        high = bounds[Lt].lt - 0.125 if Lt in bounds else bounds[Le].le if Le in bounds else 4.0
        return floats(low, high)
    return strategy(kind)


@functools.cache
def strategies_of(call: Callable[..., Any]) -> Mapping[str, Strategy]:
    """Values for each argument whose annotation, or else default, gives some; not for those that a partial binds."""
    hints = _hints_of(call)
    found = {}
    for name, parameter in _parameters(call).items():
        given = strategy(hints.get(name))
        if name == "generator" and given is OF_TYPES[mg.Player]:
            given = st.just(GENERATOR)
        if given is None and parameter.default is not parameter.empty:
            given = st.just(parameter.default)
        if given is not None:
            found[name] = given
    return found


def _hints_of(call: Any) -> Mapping[str, Any]:
    call = getattr(call, "func", call)  # of a partial
    if inspect.isclass(call):
        return hints_of(call if dataclasses.is_dataclass(call) else call.__init__)
    return hints_of(call) if inspect.isroutine(call) else {}


def _parameters(call: Any) -> Mapping[str, inspect.Parameter]:
    bound = {*getattr(call, "keywords", ())}  # of a partial
    if inspect.isclass(call) and issubclass(call, nn.Module):
        bound |= {"parent", "name"}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(call).parameters.items()
    return {name: one for name, one in parameters if one.kind in named and name not in bound}
