"""The images that experiments train on: a labelled data set from a folder, or scikit-learn's digits."""

import sys

from mixgan_jax.data import Images, digits, load_images

NO_DATA = """\
{experiment} needs {dataset}: --data-dir DIR with {dataset}.npz (train_images and so on, or Keras' names), or TensorFlow
Datasets' array_record{own}. Without any: --dataset digits."""
OWN_FILES = """, or a folder mnist of MNIST's own files (train-images-idx3-ubyte.gz and so on)"""


def load_or_exit(
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
        own = OWN_FILES if dataset == "mnist" else ""
        advice = NO_DATA.format(experiment=experiment, dataset=dataset, own=own)
        print(f"{error}\n{advice}", file=sys.stderr)
        raise SystemExit(2) from None
