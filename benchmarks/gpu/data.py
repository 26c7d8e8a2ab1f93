"""Prepare a part of acdc for the quarter of an hour: three labelled patients, others without masks, test patients.

    python benchmarks/gpu/data.py ACDC PREPARED [--unlabelled 15]

ACDC is a folder in Decathlon layout with `published_split.json`: the lists that papers use, of which `labelled_3` are
the patients with masks, the first of `train` those without, and `val` the test patients.
"""

import argparse
import json
import tempfile
from pathlib import Path

from equireg.preparation.prepare import prepare


def main() -> None:
    """Link the chosen scans into a folder of their own, and prepare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("acdc", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--unlabelled", type=int, default=15, help="patients without a mask")
    options = parser.parse_args()
    lists = json.loads((options.acdc / "published_split.json").read_text(encoding="utf-8"))
    description = json.loads((options.acdc / "dataset.json").read_text(encoding="utf-8"))
    labelled, test = set(lists["labelled_3"]), set(lists["val"])
    others = [patient for patient in lists["train"] if patient not in labelled][: options.unlabelled]
    chosen = {"train": sorted(labelled | set(others)), "test": sorted(test)}
    split: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    entries = []
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "acdc")
        (raw / "imagesTr").mkdir(parents=True)
        (raw / "labelsTr").mkdir()
        for entry in description["training"]:
            image, label = options.acdc / entry["image"], options.acdc / entry["label"]
            name = image.name.removesuffix(".nii.gz")
            patient = name.split("_")[0]
            part = next((part for part, patients in chosen.items() if patient in patients), None)
            if part is None:
                continue
            split[part].append(name)
            entries.append(entry)
            (raw / "imagesTr" / image.name).hardlink_to(image.resolve())
            if patient in labelled or part == "test":
                (raw / "labelsTr" / label.name).hardlink_to(label.resolve())
        (raw / "dataset.json").write_text(json.dumps({**description, "training": entries}), encoding="utf-8")
        (raw / "split.json").write_text(json.dumps(split), encoding="utf-8")
        prepare(raw, options.prepared, split=str(raw / "split.json"))


if __name__ == "__main__":
    main()
