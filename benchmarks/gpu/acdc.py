"""Train on few labelled patients for as long as is left, predict the test cases, and score them.

    python benchmarks/gpu/acdc.py --out RESULT.json --prepared P --method equireg --seconds 240 [--device cuda] [--tiny]

P is what data.py makes: acdc at full size with the masks of three patients. Without it, and with --tiny, phantoms.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from smoke import TINY, phantoms

from equireg.evaluation.evaluate import evaluate
from equireg.folders.run import RunFolder
from equireg.model import load_model
from equireg.prediction.predict import predict
from equireg.training.train import train

_SCORING_PART, _SCORING_LEAST_S = 0.15, 40.0
"""What is kept for start, prediction and scores: a part of the time, and at least so many seconds."""


def main() -> None:
    """Train, predict, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--method", default="equireg")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    begin = time.monotonic()
    kept = max(_SCORING_LEAST_S, _SCORING_PART * options.seconds)
    if not options.tiny and options.seconds < 2 * kept:
        raise SystemExit(f"{options.seconds:.0f} s are left; training and scoring need {2 * kept:.0f} s or more")
    training: dict[str, Any] = {"batch_size": 16, "logger": "none", "pictures_every": 0}
    training |= TINY if options.tiny else {"max_minutes": (options.seconds - kept) / 60}
    training |= {"method": options.method, "device": options.device}
    with tempfile.TemporaryDirectory() as folder:
        prepared = options.prepared or phantoms(Path(folder))
        run = train(prepared, Path(folder, "run"), **training)
        trained = time.monotonic()
        steps = load_model(RunFolder(run).checkpoint("last")).step
        predict(run, prepared, Path(folder, "predicted"), split="test", device=options.device)
        scores = evaluate(Path(folder, "predicted"), prepared, Path(folder, "scores"))
    result = {
        "options": training,
        "steps": steps,
        "training_seconds": round(trained - begin, 1),
        "scoring_seconds": round(time.monotonic() - trained, 1),
        "regions": scores["regions"],
        "mean": scores["mean"],
    }
    result["table"] = f"Dice {scores['mean']['dice']:.3f} after {steps} steps in {result['training_seconds']:.0f} s"
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
