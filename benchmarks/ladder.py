"""The linear rungs of the 2017 ladder on real MNIST: softmax regression, batch 100, three seeds.

    python benchmarks/ladder.py [--device cpu|cuda] [--quick]

Writes benchmarks/results/ladder_linear_DEVICE.json. With --quick nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from course import data, runtime
from course.train import evaluate
from machine import machine

RESULTS = Path(__file__).parent / "results"
BATCH = 100
SEEDS = (0, 1, 2)
STREAM_EVERY, STREAM_UNTIL = 1_000, 10_000
RUNS = (
    ("SGD", {"lr": 0.5}, (1_000, 10_000, 100_000)),
    ("Adam", {"lr": 1e-4}, (100_000, 200_000)),
)


def run(mnist: data.Dataset, name: str, settings: dict, marks: tuple[int, ...], seed: int) -> dict:
    """Train softmax regression from zero and evaluate on all test images at each mark."""
    generator = runtime.seed(seed)
    device = mnist.train.x.device
    model = nn.Sequential(nn.Flatten(), nn.Linear(mnist.n_features, mnist.n_classes)).to(device)
    for p in model.parameters():
        nn.init.zeros_(p)
    optimizer = getattr(torch.optim, name)(model.parameters(), **settings)
    stream, tests = [], []
    with runtime.timer(device) as clock:
        for t, (x, y) in enumerate(mnist.train.forever(BATCH, generator)):
            if t % STREAM_EVERY == 0 and t <= STREAM_UNTIL:
                with torch.no_grad():
                    right = (model(x).argmax(1) == y).float().mean().item()
                stream.append({"step": t, "batch_accuracy": right})
            if t in marks:
                loss, accuracy = evaluate(model, mnist.test.batches(1_000))
                tests.append({"steps": t, "test_accuracy": accuracy, "test_loss": loss})
                print(f"{name} seed {seed}: {t:,} steps, test accuracy {accuracy:.4f}", flush=True)
            if t == marks[-1]:
                break
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return {
        "optimizer": name,
        "settings": settings,
        "batch_size": BATCH,
        "seed": seed,
        "tests": tests,
        "stream": stream,
        "seconds": round(clock.seconds, 1),
        "steps_per_second": round(marks[-1] / clock.seconds),
    }


def main() -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--quick", action="store_true", help="a hundredth of the steps, not written"
    )
    args = parser.parse_args()
    os.environ["COURSE_DEVICE"] = args.device
    try:
        device = runtime.device()
        mnist = data.load("mnist").to(device)
    except RuntimeError as e:
        print(f"ladder: {e}", file=sys.stderr)
        return 1
    if mnist.name != "mnist":
        print(
            "ladder: this needs real MNIST: set COURSE_DATA or connect to a network",
            file=sys.stderr,
        )
        return 1
    runs = []
    for name, settings, marks in RUNS:
        marks = tuple(m // 100 for m in marks) if args.quick else marks
        runs += [run(mnist, name, settings, marks, seed) for seed in SEEDS]
    if not args.quick:
        result = {
            "what": "softmax regression on MNIST (55,000 training images), accuracy on 10,000 test images",
            "command": f"python benchmarks/ladder.py --device {args.device}",
            **machine(device),
            "runs": runs,
        }
        path = RESULTS / f"ladder_linear_{args.device}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
