"""The cost model of docs/pods.md: what one step of MIX+DCGAN takes on a pod, on paper.

Counted from the networks: parameters, FLOPs of a forward pass, bytes kept for the backward pass. Assumed, and not
measured: the chips' numbers in ``CHIPS``. The FLOPs of a step are checked against XLA's own count by a test.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.benchmark.workloads import Game, dcgan_game
from experiments.common import pages
from mixgan_jax.players.pairing import PAIRINGS, Pairing
from mixgan_jax.types import Tree


class Chip(NamedTuple):
    """What is assumed of a chip.

    Attributes:
        name: its name.
        peak: FLOPs a second in bfloat16, as its maker states.
        share: share of the peak that DCGANs reach; a guess.
        received: bytes a second that a device receives in an exchange with all others.
        memory: bytes.
    """

    name: str
    peak: float
    share: float
    received: float
    memory: float


CHIPS = (
    Chip("TPU v5e", 197e12, 0.25, 100e9, 16e9),
    Chip("TPU v5p", 459e12, 0.25, 300e9, 95e9),
    Chip("H100, InfiniBand", 989e12, 0.15, 50e9, 80e9),
)

# Numbers of components of a side, and of devices.
SIZES = ((64, 64), (256, 64), (256, 256), (1024, 256))


class Costs(NamedTuple):
    """What one sample costs in a pair of networks.

    Attributes:
        generator_params: parameters of a generator.
        discriminator_params: parameters of a discriminator.
        generator_flops: FLOPs of a forward pass for a sample.
        discriminator_flops: the same of a discriminator.
        kept: bytes that a discriminator's backward pass keeps of a sample, in float32.
        numbers: numbers in a sample.
    """

    generator_params: int
    discriminator_params: int
    generator_flops: float
    discriminator_flops: float
    kept: float
    numbers: int


class Step(NamedTuple):
    """What a step takes on each device: FLOPs, bytes received, bytes of memory."""

    flops: float
    received: float
    memory: float


def costs_of(game: Game, batch: int = 16) -> Costs:
    """Counts what a sample costs, from traces alone."""
    state = jax.eval_shape(game.solver().init, jax.random.key(0))
    latents = jax.ShapeDtypeStruct((batch, game.latent_size), jnp.float32)
    samples = jax.ShapeDtypeStruct((batch, *game.shape), jnp.float32)

    def of(player: Any, mixture: Any, inputs: Any) -> tuple[int, float, float]:
        one = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype),
            (mixture.params, mixture.state),
        )

        def forward(params: Tree, state: Tree, inputs: Any) -> Any:
            return player.apply(params, state, inputs, train=True)[0]

        flops = jax.jit(forward).lower(*one, inputs).cost_analysis()["flops"]
        backward = jax.eval_shape(
            lambda *arguments: jax.vjp(
                lambda params: forward(params, *arguments[1:]), arguments[0]
            )[1],
            *one,
            inputs,
        )
        kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(backward))
        params = sum(leaf.size for leaf in jax.tree.leaves(one[0]))
        return params, flops / batch, (kept - 4 * params) / batch

    own, forward, _ = of(game.generator, state.generators, latents)
    others, judged, kept = of(game.discriminator, state.discriminators, samples)
    return Costs(own, others, forward, judged, kept, samples.size // batch)


def step_costs(
    costs: Costs, pairing: Pairing, k: int, devices: int, batch: int, *, sample_bytes: int = 2
) -> Step:
    """Computes what an alternating step with k generators and k discriminators takes on each device.

    A sample is made once for either turn and differentiated once: 4 forward passes of a generator. A discriminator's
    turn takes 3 passes for each real and each fake, the generators' turn 2 for each fake. Samples are gathered twice,
    and their gradients return once.

    Args:
        costs: what a sample costs.
        pairing: which fakes meet which discriminators.
        k: components of each side, split over the devices.
        devices: P.
        batch: B, reals in a step.
        sample_bytes: bytes of a number of a sample on its way.
    """
    own, size = k / devices, costs.numbers
    fakes = {"full": batch, "latin": batch, "stratified": batch / k}[pairing]
    judged = {"full": k * batch, "latin": batch, "stratified": batch}[pairing]
    flops = own * (
        4 * fakes * costs.generator_flops + (3 * batch + 5 * judged) * costs.discriminator_flops
    )
    exchanged = {"full": k * batch, "latin": own * batch, "stratified": batch}[pairing]
    received = 3 * exchanged * size * sample_bytes * (devices - 1) / devices
    # Parameters, two moments and gradients; fakes and their gradients; what the backward pass keeps.
    networks = 16 * own * (costs.generator_params + costs.discriminator_params)
    samples = 4 * size * (exchanged + own * judged)
    return Step(flops, received, networks + samples + (batch + judged) * costs.kept)


def page() -> str:
    """Writes the tables of docs/pods.md."""
    costs = costs_of(dcgan_game(16))
    counted = [
        ["parameters of a generator", f"{costs.generator_params / 1e6:.2f} M"],
        ["parameters of a discriminator", f"{costs.discriminator_params / 1e6:.2f} M"],
        ["forward pass of a generator, for a sample", f"{costs.generator_flops / 1e6:.0f} MFLOP"],
        ["forward pass of a discriminator", f"{costs.discriminator_flops / 1e6:.0f} MFLOP"],
        ["kept of a sample for a discriminator's backward pass", f"{costs.kept / 1e6:.2f} MB"],
    ]
    headings = ["k", "devices", "batch", "pairing", "TFLOP", "MB received", "GB of memory"]
    headings += [f"{chip.name}: ms of compute, of exchange" for chip in CHIPS]
    rows = []
    for k, devices in SIZES:
        for pairing in PAIRINGS:
            batch = 64 if pairing == "full" else max(64, k)
            step = step_costs(costs, pairing, k, devices, batch)
            times = [_times(step, chip) for chip in CHIPS]
            sizes = [_digits(step.flops / 1e12), _digits(step.received / 1e6)]
            rows.append(
                [
                    str(k),
                    str(devices),
                    str(batch),
                    pairing,
                    *sizes,
                    _digits(step.memory / 1e9),
                    *times,
                ]
            )
    assumed = [
        [
            chip.name,
            f"{chip.peak / 1e12:.0f}",
            f"{chip.share:.0%}",
            f"{chip.received / 1e9:.0f}",
            f"{chip.memory / 1e9:.0f}",
        ]
        for chip in CHIPS
    ]
    names = ["chip", "peak, TFLOP/s in bfloat16", "share reached", "GB/s received", "GB of memory"]
    return "\n\n".join(
        [
            pages.table(["counted, 32x32x3 DCGAN of width 64", ""], counted),
            pages.table(names, assumed),
            pages.table(headings, rows),
        ]
    )


def _times(step: Step, chip: Chip) -> str:
    """Shows the milliseconds of computing and of exchanging, and whether the step fits."""
    compute, exchange = step.flops / chip.peak / chip.share, step.received / chip.received
    fits = "" if step.memory < chip.memory else ", **does not fit**"
    return f"{_digits(1e3 * compute)}, {_digits(1e3 * exchange)}{fits}"


def _digits(number: float) -> str:
    """Shows two digits, without an exponent."""
    return f"{float(f'{number:.2g}'):g}"
