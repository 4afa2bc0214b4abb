"""The images that experiments on digits train on: MNIST and its like from a folder, or scikit-learn's."""

import sys

from mixgan_jax.data import Images, digits, load_images

NO_DATA = """\
{} needs MNIST: --data-dir DIR with mnist.npz (ours or Keras' names), a folder mnist of MNIST's own files
(train-images-idx3-ubyte.gz and so on), or TensorFlow Datasets' array_record. Without any: --dataset digits."""


def load_digits(
    experiment: str, dataset: str, data_dir: str | None, memory_budget: int | None
) -> Images:
    """Loads the data; ends the process with advice if none can be read, or they have no labels.

    Args:
        experiment: name of the experiment that asks.
        dataset: a name in the folder, or ``digits`` for scikit-learn's bundled ones, which fit any budget.
        data_dir: the folder.
        memory_budget: memory in MiB that training images may take; larger sets stay where they are, to be streamed.
    """
    if dataset == "digits":
        return digits()
    try:
        images = load_images(dataset, data_dir, memory_budget=memory_budget)
        if images.train_labels is None or images.test_labels is None:
            raise ValueError(f"--dataset must have labels, got {dataset!r} without")
        return images
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"{error}\n{NO_DATA.format(experiment)}", file=sys.stderr)
        raise SystemExit(2) from None
