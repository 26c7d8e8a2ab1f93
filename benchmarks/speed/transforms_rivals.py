"""The same spatial work by other libraries, in their own environment: the child process of transforms.py.

Says on its first line of output which tasks it has; then, for each task named on its input, does it once and
answers with the processor seconds that it took. One core, one sample at a time, as each library works.
"""

# pyright: reportMissingImports=false, reportPrivateImportUsage=false
# The libraries are not in the environment that the types are checked in.

import importlib
import json
import math
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

TURN = math.radians(20)
LEAST, MOST = 0.8, 1.25
"""Scales."""
Task = Callable[[], object]


def imgaug(_: Any) -> dict[str, Task]:
    """Return the thesis' path: flips and shifts, then three or more parts in a random order, on floats."""
    import imgaug.augmenters as iaa

    image = np.random.default_rng(0).normal(size=(224, 224, 4)).astype(np.float32)
    logits = np.random.default_rng(1).normal(size=(224, 224, 4)).astype(np.float32)
    shifts = [iaa.Affine(translate_percent={axis: (-0.1, 0.1)}) for axis in "xy"]
    weak = iaa.Sequential([iaa.Fliplr(0.5), *shifts])
    strong = iaa.SomeOf(
        (3, None),
        [
            iaa.Fliplr(0.5),
            iaa.Affine(rotate=(-20, 20)),
            iaa.Affine(shear=(-11, 11)),
            iaa.Affine(scale=(1 / 1.1, 1.1)),
            *shifts,
            iaa.ElasticTransformation(alpha=720, sigma=24),
        ],
        random_order=True,
    )

    def images() -> Any:
        fixed = strong.to_deterministic()
        fixed.augment_image(weak.augment_image(image))
        return fixed

    return {
        "images": images,
        "prediction": lambda: strong.to_deterministic().augment_image(logits),
        "all": lambda: images().augment_image(logits),
    }


def batchgeneratorsv2(sizes: dict[str, tuple[int, ...]]) -> dict[str, Task]:
    """Return nnU-Net's transform."""
    import torch
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    def task(shape: tuple[int, ...]) -> Task:
        transform = SpatialTransform(
            shape[1:],
            0,
            False,
            p_elastic_deform=1,
            elastic_deform_scale=(0.1, 0.1),
            elastic_deform_magnitude=(0.05, 0.05),
            p_rotation=1,
            rotation=(-TURN, TURN),
            p_scaling=1,
            scaling=(LEAST, MOST),
            p_synchronize_scaling_across_axes=1,
            mode_seg="nearest",
            padding_mode_image="border",
        )
        image, label = torch.from_numpy(picture(shape)), torch.from_numpy(classes(shape))
        return lambda: transform(image=image, segmentation=label)

    return {name: task(shape) for name, shape in sizes.items()}


def monai(sizes: dict[str, tuple[int, ...]]) -> dict[str, Task]:
    """Return MONAI's affine and elastic transforms, which share one interpolation."""
    import torch
    from monai.transforms import Rand2DElasticd, Rand3DElasticd

    def task(shape: tuple[int, ...]) -> Task:
        common: dict[str, Any] = {
            "keys": ["image", "label"],
            "prob": 1.0,
            "rotate_range": TURN,
            "scale_range": MOST - 1,
            "mode": ("bilinear", "nearest"),
            "padding_mode": "border",
        }
        if len(shape) == 3:
            transform = Rand2DElasticd(spacing=(22, 22), magnitude_range=(3, 3), **common)
        else:
            transform = Rand3DElasticd(sigma_range=(9, 9), magnitude_range=(100, 100), **common)
        image, label = torch.from_numpy(picture(shape)), torch.from_numpy(classes(shape))
        return lambda: transform({"image": image, "label": label})

    return {name: task(shape) for name, shape in sizes.items()}


def torchio(sizes: dict[str, tuple[int, ...]]) -> dict[str, Task]:
    """Return TorchIO's affine and elastic transforms, which share one interpolation; a slice is a flat volume."""
    import torch
    import torchio as tio

    def task(shape: tuple[int, ...]) -> Task:
        flat = len(shape) == 3
        degrees, bend = math.degrees(TURN), 0.03 * shape[-1]
        transform = tio.RandomAffineElasticDeformation(
            affine_kwargs={
                "scales": (LEAST, MOST, LEAST, MOST, 1, 1) if flat else (LEAST, MOST),
                "degrees": (0, 0, 0, 0, -degrees, degrees) if flat else degrees,
            },
            elastic_kwargs={"num_control_points": 9, "max_displacement": (bend, bend, 0) if flat else bend},
        )
        image, label = torch.from_numpy(picture(shape)), torch.from_numpy(classes(shape))
        if flat:
            image, label = image[..., None], label[..., None]
        subject = tio.Subject(image=tio.ScalarImage(tensor=image), label=tio.LabelMap(tensor=label))
        return lambda: transform(subject)["image"].data

    return {name: task(shape) for name, shape in sizes.items()}


def picture(shape: tuple[int, ...]) -> Any:
    """Return an image, [C, *S]."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def classes(shape: tuple[int, ...]) -> Any:
    """Return a label, [1, *S]."""
    return np.random.default_rng(1).integers(0, 4, size=(1, *shape[1:])).astype(np.uint8)


def main() -> None:
    """Serve the libraries that this environment has; the sizes come as JSON in the only argument."""
    sizes = {name: tuple(shape) for name, shape in json.loads(sys.argv[1]).items()}
    tasks: dict[str, Task] = {}
    versions = {}
    for library in (imgaug, batchgeneratorsv2, monai, torchio):
        name = library.__name__
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        tasks.update({f"{name} {task}": work for task, work in library(sizes).items()})
        versions[name] = version(name)
    single_core()
    answer({"tasks": list(tasks), "versions": versions})
    for line in sys.stdin:
        begin = time.process_time()
        tasks[line.strip()]()
        answer(time.process_time() - begin)


def single_core() -> None:
    """Hold every library to one core."""
    for name, function in (("torch", "set_num_threads"), ("cv2", "setNumThreads")):
        if name in sys.modules:
            getattr(sys.modules[name], function)(1)
    if "SimpleITK" in sys.modules:
        sys.modules["SimpleITK"].ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def answer(value: Any) -> None:
    """Send a line of JSON to the parent, past anything a library prints."""
    print(f"answer {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main()
