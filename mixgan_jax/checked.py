"""Rules in annotations: ``@checked`` runs what the annotations of a public function say of its arguments.

A reader sees the rule where he sees the argument::

    @checked
    def ring(num_modes: Count = 8, radius: Positive = 2.0) -> GaussianMixture: ...

========================================  ===================================================================
annotation                                rule
========================================  ===================================================================
``Annotated[int, Ge(1)]``                 a whole number within the bounds (``annotated_types``)
``Annotated[float, Gt(0), Le(1)]``        a finite number within the bounds
``Annotated[X, rule]``                    ``rule(name, value)`` returns the value to hand on, or raises
``Literal["full", "latin"]``              one of these
``bool``, ``str``, ``Callable[...]``      a flag, a text, a function
a class of this package                   an instance of it
``X | None``                              None, or what ``X`` wants
anything else                             none
========================================  ===================================================================

The aliases of :mod:`mixgan_jax.types` are the usual ones. A rule that joins two arguments stays in the function's body.
Defaults are trusted. Under ``jit`` rules see traced values: they then check shape and dtype, and record nothing.
"""

import functools
import inspect
import math
import operator
import types
from collections.abc import Callable, Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Le, Lt

from mixgan_jax.checks import (
    check_choice,
    check_count,
    check_flag,
    check_function,
    check_kind,
    check_number,
)

T = TypeVar("T")

Rule: TypeAlias = Callable[[str, Any], Any]
"""``rule(name, value)`` returns the value to go on with, or raises an error that names the argument."""


def checked(target: T) -> T:
    """Checks the arguments of a function, or the fields of a dataclass, by their annotations.

    A rule may convert: the function gets what its rules return. Signatures stay as they are for editors and type
    checkers.

    Args:
        target: a function or method; or a dataclass (a Linen module is one), whose ``__post_init__`` then begins with
            the rules.

    Returns:
        The function in a wrapper; the same class.
    """
    if isinstance(target, type):
        _check_fields(target)
        return target
    return _check_arguments(target)


def unchecked(function: T) -> T:
    """Returns a checked function without its rules, for a checked caller that hands its own arguments on."""
    return vars(function)["__wrapped__"]


def _check_arguments(function: Any) -> Any:
    @functools.cache  # at the first call, when every name in the annotations is defined
    def rules() -> list[tuple[int, str, Rule]]:
        found = rules_of(function)
        positions = enumerate(inspect.signature(function).parameters.values())
        return [
            # A keyword-only argument is at no position.
            (place if one.kind is not one.KEYWORD_ONLY else _NOWHERE, one.name, found[one.name])
            for place, one in positions
            if one.name in found and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        positional = list(args)
        for place, name, rule in rules():
            if place < len(positional):
                positional[place] = rule(name, positional[place])
            elif name in kwargs:
                kwargs[name] = rule(name, kwargs[name])
        return function(*positional, **kwargs)

    vars(wrapper)["__signature__"] = _plain(inspect.signature(function))
    return wrapper


def _plain(signature: inspect.Signature) -> inspect.Signature:
    """The signature that ``help`` shows: types without their rules."""
    parameters = [
        one.replace(annotation=_without_rule(one.annotation))
        for one in signature.parameters.values()
    ]
    return signature.replace(
        parameters=parameters, return_annotation=_without_rule(signature.return_annotation)
    )


def _without_rule(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        return functools.reduce(operator.or_, map(_without_rule, get_args(hint)))
    return hint


_NOWHERE = 1 << 30


def _check_fields(cls: Any) -> None:
    if not hasattr(cls, "__post_init__"):
        # A dataclass made without it never calls one: it has to be there when @dataclass sees the class.
        raise TypeError(f"{cls.__name__} must have a __post_init__ for its fields to be checked")
    after = cls.__post_init__
    rules = functools.cache(lambda: rules_of(cls))

    def __post_init__(self: Any) -> None:
        for name, rule in rules().items():
            value = getattr(self, name)
            if (checked_value := rule(name, value)) is not value:
                object.__setattr__(self, name, checked_value)  # of a frozen dataclass too
        after(self)

    cls.__post_init__ = __post_init__


def rules_of(target: Any) -> Mapping[str, Rule]:
    """Reads the rules of a function's arguments, or of a class's fields, by name; those without one are left out."""
    found = {name: rule_of(hint) for name, hint in hints_of(target).items() if name != "return"}
    return {name: rule for name, rule in found.items() if rule is not None}


def hints_of(target: Any) -> dict[str, Any]:
    """Returns the annotations of a function, or of a class and its bases, with their rules."""
    return get_type_hints(target, include_extras=True)


def rule_of(hint: Any) -> Rule | None:
    """Returns the rule that an annotation states, or None."""
    if get_origin(hint) is Annotated:
        return _stated(*get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return _rule_of_union(get_args(hint))
    if get_origin(hint) is Literal:
        return functools.partial(_one_of, get_args(hint))
    if get_origin(hint) is Callable:
        return check_function
    if hint is bool:
        return check_flag
    if hint is str or _is_ours(hint):
        return functools.partial(_instance_of, (hint,))
    return None


def _stated(kind: Any, *metadata: Any) -> Rule | None:
    """The rule of ``Annotated[kind, *metadata]``: bounds of a number, or a function."""
    for rule in metadata:
        if callable(rule):
            return rule
    bounds: dict[type, Any] = {
        type(bound): bound for bound in metadata if isinstance(bound, Ge | Gt | Le | Lt)
    }
    if kind is int and set(bounds) == {Ge}:
        return functools.partial(check_count, minimum=bounds[Ge].ge)
    if bounds and kind is not float:
        names = ", ".join(map(repr, bounds.values()))
        raise TypeError(
            f"bounds must be those of a float, or Ge of an int, got {kind} with {names}"
        )
    if kind is not float:
        return rule_of(kind)
    low = bounds[Gt].gt if Gt in bounds else bounds[Ge].ge if Ge in bounds else -math.inf
    high = bounds[Lt].lt if Lt in bounds else bounds[Le].le if Le in bounds else math.inf
    return functools.partial(
        check_number, minimum=low, maximum=high, strict=Gt in bounds, strict_maximum=Lt in bounds
    )


def _rule_of_union(members: tuple[Any, ...]) -> Rule | None:
    rest = tuple(member for member in members if member is not type(None))
    if len(rest) == 1:
        rule: Rule | None = rule_of(rest[0])
    elif all(map(_is_ours, rest)):
        rule = functools.partial(_instance_of, rest)
    elif any(get_origin(member) is Annotated for member in rest):
        raise TypeError(
            f"a union of one rule and None, or of classes, can be checked, got {members}"
        )
    else:
        return None
    if rule is None or len(rest) == len(members):
        return rule
    inner = rule
    return lambda name, value: None if value is None else inner(name, value)


def _is_ours(hint: Any) -> bool:
    """Whether an annotation is a class of this package that can be asked for its instances."""
    module = getattr(hint, "__module__", "").partition(".")[0]
    return (
        isinstance(hint, type)
        and module == __package__
        and not getattr(hint, "_is_protocol", False)
    )


def _one_of(choices: tuple[Any, ...], name: str, value: Any) -> Any:
    return check_choice(name, value, choices)


def _instance_of(kinds: tuple[type, ...], name: str, value: Any) -> Any:
    return check_kind(name, value, *kinds)
