"""MIX+GAN in PyTorch, written as its users would: the same arithmetic as ``mix_gan`` with full or Latin pairing.

Alternating updates of a non-saturating game: discriminators on reals and fakes, then generators on fresh fakes, Adam on
the components, exponentiated gradient on the weights. *Plain* is what a tutorial would write. *Tuned* is what its
performance guide adds: channels_last, fused Adam, discriminators frozen in the generators' turn. On a GPU a tuned step
can also be captured as a CUDA graph, which is replayed without PyTorch's own work on the host. On a GPU float32
products are TF32, as JAX has them by default, and cuDNN may try its algorithms, as XLA does. Half precision is
``torch.autocast`` to bfloat16: parameters, losses and the optimiser stay float32.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

BETAS = (0.5, 0.999)
# The device that JAX has, too: PyTorch may be a CPU build where JAX has a GPU.
ON_GPU = jax.default_backend() == "gpu" and torch.cuda.is_available()
CPU = torch.device("cpu")
DEVICE = torch.device("cuda") if ON_GPU else CPU
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
torch.backends.cudnn.benchmark = True


class MLPGenerator(nn.Sequential):
    """Two hidden ReLU layers; ``params`` are Linen's."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(*_dense_stack(params))


class MLPDiscriminator(MLPGenerator):
    """Two hidden ReLU layers and one logit; ``params`` are Linen's."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze(1)


class DCGANGenerator(nn.Module):
    """The layers of ``networks.DCGANGenerator``, 4x4 kernels; ``params`` are Linen's."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        kernel = params["Dense_0"]["kernel"]  # [Z, 4 * 4 * C], pixels before channels
        channels = params["BatchNorm_0"]["scale"].shape[0]
        self.side = round((kernel.shape[1] // channels) ** 0.5)
        columns = kernel.reshape(-1, self.side**2, channels).swapaxes(1, 2)
        self.dense = nn.Linear(*kernel.shape, bias=False)
        _set(self.dense, columns.reshape(kernel.shape).T, params["Dense_0"])
        layers: list[nn.Module] = [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        stages = sum(name.startswith("ConvTranspose") for name in params)
        for stage in range(stages):
            taken = params[f"ConvTranspose_{stage}"]
            _, _, inside, outside = taken["kernel"].shape
            layer = nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias="bias" in taken)
            # PyTorch's kernel is that of the convolution whose adjoint this is.
            _set(layer, taken["kernel"][::-1, ::-1].transpose(2, 3, 0, 1), taken)
            layers.append(layer)
            if stage < stages - 1:
                layers += [nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(z)
        return torch.tanh(self.layers(x.view(len(z), -1, self.side, self.side)).float())


class DCGANDiscriminator(nn.Module):
    """The layers of ``networks.DCGANDiscriminator``, 4x4 kernels; ``params`` are Linen's."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage in range(sum(name.startswith("Conv_") for name in params)):
            taken = params[f"Conv_{stage}"]
            _, _, inside, outside = taken["kernel"].shape
            layer = nn.Conv2d(inside, outside, 4, 2, 1, bias="bias" in taken)
            _set(layer, taken["kernel"].transpose(3, 2, 0, 1), taken)
            norm = [nn.BatchNorm2d(outside)] if stage else []
            layers += [layer, *norm, nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        kernel = params["Dense_0"]["kernel"]  # [4 * 4 * C, 1]
        self.dense = nn.Linear(len(kernel), 1)
        columns = kernel.reshape(-1, outside).T.reshape(1, -1)
        _set(self.dense, columns, params["Dense_0"])

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.layers(x).flatten(1)).squeeze(1).float()


class Side:
    """Components, their optimisers and their log-weights, on the device that PyTorch has by default."""

    def __init__(
        self,
        nets: list[nn.Module],
        learning_rate: float,
        tuned: bool,
        compiled: bool = False,
    ) -> None:
        modules = nn.ModuleList(nets)
        if tuned:
            modules.to(memory_format=torch.channels_last)
        self.nets = [torch.compile(net, dynamic=False) if compiled else net for net in modules]
        self.parameters = list(modules.parameters())
        self.adam = _adam(self.parameters, learning_rate, fused=tuned or None)
        self.log_weights = torch.log_softmax(torch.zeros(len(nets)), 0)

    def move(self, losses: Tensor, weight_rate: float, barrier: float) -> None:
        """Takes one update; ``losses`` ``[K]`` are each component's, averaged over the opponents."""
        self.adam.zero_grad(set_to_none=True)
        weights = self.log_weights.exp()
        (len(weights) * (weights @ losses)).backward()
        self.adam.step()
        gradient = losses.detach() - barrier / (len(weights) * weights)
        moved = torch.log_softmax(self.log_weights - weight_rate * gradient, 0)
        self.log_weights.copy_(moved)  # in place, so that a captured step goes on from it


def mix_gan_step(
    generators: Side,
    discriminators: Side,
    draw: Callable[[int], Tensor],
    device: torch.device,
    *,
    latin: bool,
    half: bool,
    tuned: bool,
    weight_rate: float,
    barrier: float,
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Makes ``step(real) -> (discriminator_loss, generator_loss)``; ``draw(batch)`` gives latents ``[I, B, Z]``."""
    precision = partial(torch.autocast, device.type, torch.bfloat16, enabled=half)

    def fakes(batch: int) -> list[Tensor]:
        latents = draw(batch)
        return [net(latents[i]) for i, net in enumerate(generators.nets)]

    def logits(made: list[Tensor], j: int) -> list[Tensor]:
        """Computes discriminator j's logits of its share of each generator's fakes."""
        net, count = discriminators.nets[j], len(discriminators.nets)
        if not latin:
            return [net(fake) for fake in made]
        shares = [fake.chunk(count)[(j - i) % count] for i, fake in enumerate(made)]
        return list(net(torch.cat(shares)).chunk(len(made)))

    def matrix(sign: int, judged: list[list[Tensor]]) -> Tensor:
        """Averages softplus of the logits, or of their negatives, of each pair: ``[J, I]``."""
        return torch.stack(
            [torch.stack([softplus(sign * x).mean() for x in row]) for row in judged]
        )

    def step(real: Tensor) -> tuple[Tensor, Tensor]:
        weights = generators.log_weights.exp()
        with precision(), torch.no_grad():  # apart: casts that are kept here have no gradient
            made = fakes(len(real))
        with precision():
            reals = [[net(real)] for net in discriminators.nets]
            judged = [logits(made, j) for j in range(len(discriminators.nets))]
        losses = matrix(-1, reals)[:, 0] + matrix(1, judged) @ weights
        discriminator_loss = discriminators.log_weights.exp() @ losses.detach()
        discriminators.move(losses, weight_rate, barrier)

        for parameter in discriminators.parameters if tuned else []:
            parameter.requires_grad_(False)
        with precision():
            made = fakes(len(real))
            judged = [logits(made, j) for j in range(len(discriminators.nets))]
        losses = discriminators.log_weights.exp() @ matrix(-1, judged)
        generator_loss = weights @ losses.detach()
        generators.move(losses, weight_rate, barrier)
        for parameter in discriminators.parameters if tuned else []:
            parameter.requires_grad_(True)
        return discriminator_loss, generator_loss

    return step


def images(real: np.ndarray, tuned: bool, device: torch.device) -> Tensor:
    """Turns images ``[B, H, W, C]`` into PyTorch's order of axes."""
    tensor = on_device(real.transpose(0, 3, 1, 2).copy(), device)
    return tensor.contiguous(memory_format=torch.channels_last) if tuned else tensor


def on_device(array: np.ndarray, device: torch.device = DEVICE) -> Tensor:
    """Copies an array to a device, by default that which JAX has."""
    return torch.tensor(array, device=device)


def _dense_stack(params: dict[str, Any]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index in range(len(params)):
        kernel = params[f"Dense_{index}"]["kernel"]
        layer = nn.Linear(*kernel.shape)
        _set(layer, kernel.T, params[f"Dense_{index}"])
        layers += [layer, nn.ReLU(inplace=True)]
    return layers[:-1]


def _set(layer: nn.Module, weight: np.ndarray, params: dict[str, np.ndarray]) -> None:
    """Sets the layer's weight, and its bias where it has one."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(weight)))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(np.array(params["bias"])))


def stacked_gan_step(
    generator: dict[str, Any],
    discriminator: dict[str, Any],
    real: Tensor,
    latent_size: int,
    learning_rate: float,
) -> Callable[[], Any]:
    """Makes ``step()`` of S plain GANs of MLPs at once: stacked parameters, batched products, one fused Adam a side.

    Args:
        generator: Linen's parameters, from which all generators start.
        discriminator: Linen's parameters, from which all discriminators start.
        real: ``[S, B, D]``.
        latent_size: number Z of latents.
        learning_rate: learning rate of Adam.
    """
    sides = [
        [_stacked(layer, len(real)) for layer in net.values()] for net in (generator, discriminator)
    ]
    adams = [_adam([p for layer in side for p in layer], learning_rate, True) for side in sides]

    def apply(side: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
        for index, (weight, bias) in enumerate(side):
            x = torch.baddbmm(bias, x, weight)
            x = torch.relu_(x) if index < len(side) - 1 else x
        return x

    def fake() -> Tensor:
        return apply(sides[0], torch.randn(*real.shape[:2], latent_size, device=DEVICE))

    def move(which: int, loss: Tensor) -> None:
        adams[which].zero_grad(set_to_none=True)
        loss.backward()
        adams[which].step()

    def step() -> None:
        with torch.no_grad():
            made = fake()
        losses = softplus(-apply(sides[1], real)) + softplus(apply(sides[1], made))
        move(1, losses.mean((1, 2)).sum())
        frozen = [(weight.detach(), bias.detach()) for weight, bias in sides[1]]
        move(0, softplus(-apply(frozen, fake())).mean((1, 2)).sum())

    return step


def captured(step: Callable[[], Any]) -> Callable[[], None]:
    """Captures the step as a CUDA graph: a call replays its kernels, which always use the same tensors."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # gradients and optimiser states are made before the capture
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads, JAX's among them, may allocate memory meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        step()

    def replay(step: Callable[[], Any] = step) -> None:
        graph.replay()  # ``step`` is kept, since the graph holds addresses of its tensors, not the tensors

    return replay


def _adam(parameters: list[Tensor], learning_rate: float, fused: bool | None) -> torch.optim.Adam:
    on_gpu = parameters[0].is_cuda  # a captured step needs Adam's counter of steps on the device
    return torch.optim.Adam(parameters, learning_rate, BETAS, fused=fused, capturable=on_gpu)


def _stacked(layer: dict[str, np.ndarray], seeds: int) -> tuple[Tensor, Tensor]:
    weight, bias = (on_device(np.array(layer[name])) for name in ("kernel", "bias"))
    copies = weight.repeat(seeds, 1, 1), bias.repeat(seeds, 1, 1)
    return copies[0].requires_grad_(), copies[1].requires_grad_()
