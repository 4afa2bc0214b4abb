"""Settings that hold for every test: eight virtual CPU devices, strict types and ranks, no window for figures."""

import os
import signal

# A shell starts what runs in the background with Ctrl-C ignored; the tests of it send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when JAX starts its backends, hence before anything imports it.
# Programs here are compiled once and run for milliseconds: optimising them would be most of the time.
_FLAGS = {"--xla_force_host_platform_device_count": 8, "--xla_backend_optimization_level": 0}
for _flag, _value in _FLAGS.items():
    if _flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_flag}={_value}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["MPLBACKEND"] = "Agg"

import jax  # noqa: E402

# An int that silently widens an array, or a [B] that broadcasts against [B, 1], is an error here.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

from hypothesis import HealthCheck, settings  # noqa: E402

# The same arguments at each start, a few for each function; MIXGAN_EXAMPLES=1000 looks longer, and at other ones.
_examples = os.environ.get("MIXGAN_EXAMPLES")
settings.register_profile(
    "mixgan",
    max_examples=int(_examples or 25),
    derandomize=_examples is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mixgan")
