"""``python -m mixgan_jax`` prints versions, the devices that JAX sees, and where the experiments are."""

import platform
from importlib.metadata import version

import jax

import mixgan_jax as mg

EXPERIMENTS = "Experiments live in the repository: in a checkout, python -m experiments lists them."


def main() -> None:
    """Prints the three lines."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax", "optax", "numpy"))
    print(f"mixgan_jax {mg.__version__}, {libraries}, Python {platform.python_version()}")
    kinds = [device.device_kind for device in jax.devices()]
    print("devices:", ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)))
    print(EXPERIMENTS)


if __name__ == "__main__":
    main()
