"""Arguments at random: good ones for each kind of argument, and anything at all."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from hypothesis import strategies as st

# Few shapes and dtypes, so that JAX finds most programs compiled: rank 0 to 4, sizes 0 to 5.
SHAPES = [(), (0,), (1,), (2,), (3,), (5,), (2, 3), (3, 2), (0, 2), (2, 0), (4, 2, 3), (2, 4, 3, 1)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-30, 1e30, 6e4, np.nan, np.inf, -np.inf]
WHOLES = [0, 1, 2, 3, 100, -1, 2**31, 2**40, -(2**31) - 1]
FLOATING = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]


def floats(low: float = -10.0, high: float = 10.0) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, width=32)


def counts(high: int = 4, low: int = 1) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def array(*shape: int, low: float = -10.0, high: float = 10.0) -> st.SearchStrategy[np.ndarray]:
    """Finite float32 arrays of one shape."""
    size = int(np.prod(shape))
    entries = st.lists(floats(low, high), min_size=size, max_size=size)
    return entries.map(lambda values: np.asarray(values, np.float32).reshape(shape))


def integers(*shape: int, high: int, dtype: Any = np.int32) -> st.SearchStrategy[np.ndarray]:
    """Whole numbers 0..high of one shape."""
    size = int(np.prod(shape))
    entries = st.lists(st.integers(0, high), min_size=size, max_size=size)
    return entries.map(lambda values: np.asarray(values, dtype).reshape(shape))


def weights(size: int) -> st.SearchStrategy[np.ndarray]:
    """Points of the simplex, corners among them."""
    entries = st.lists(st.integers(0, 5), min_size=size, max_size=size).filter(any)
    return entries.map(lambda values: np.asarray(values, np.float32) / np.float32(sum(values)))


def log_weights(size: int) -> st.SearchStrategy[np.ndarray]:
    def logarithms(points: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(points)

    return weights(size).map(logarithms)


keys = st.integers(0, 3).map(jax.random.key)


@st.composite
def any_arrays(draw: st.DrawFn) -> Any:
    """NumPy and JAX arrays of any rank, dtype and value."""
    shape = draw(st.sampled_from(SHAPES))
    kind = draw(
        st.sampled_from(["floating", "floating", "whole", "uint8", "bool", "complex", "odd"])
    )
    palette: list[Any] = {
        "floating": FLOATS,
        "whole": WHOLES,
        "uint8": [0, 1, 255],
        "bool": [True, False],
        "complex": [1j, 2.0, complex(np.nan, 1.0)],
        "odd": [None, "a", 1.5, [1]],
    }[kind]
    few = draw(st.lists(st.sampled_from(palette), min_size=1, max_size=3))
    flat = np.empty(int(np.prod(shape)), object)
    flat[:] = [few[index % len(few)] for index in range(flat.size)]
    if kind == "odd":
        return flat.reshape(shape)
    dtypes = {"floating": FLOATING, "whole": [np.int64], "uint8": [np.uint8], "bool": [bool]}
    dtype = draw(st.sampled_from(dtypes.get(kind, [np.complex64])))
    with np.errstate(over="ignore"):
        values = flat.astype(dtype).reshape(shape)
    fits = kind != "whole" or np.all(np.abs(values) < 2**31)
    return (
        jnp.asarray(values)
        if fits and values.dtype != np.float64 and draw(st.booleans())
        else values
    )


scalars = st.one_of(
    st.sampled_from([*FLOATS, *WHOLES, 10**400, -(10**5000), True, False, None, 1j]),
    st.sampled_from([np.float32(np.nan), np.float16(2), np.int8(3), np.bool_(True), np.str_("a")]),
)
# No functions: where one belongs, nothing can be known of another but that it is called.
others = st.sampled_from(
    [
        *("", "abc", "ünïcode \x00", "full", "SAME", "1", b"bytes"),
        *(object(), {}, {"a": 1}, set(), range(3), ...),
        *([], [[]], [1.0, [2.0]], [1, 2], (1.0, 2.0), [None], ["a"], [np.nan, 0.5], [10**400]),
        *(jax.random.key(0), jnp.float32(np.nan), jnp.int32(2)),
    ]
)
anything = st.one_of(scalars, any_arrays(), others)
