"""Golden vectors of the race: torch.optim's own paths, in float64, for race.js to agree with.

python tests/golden/make_race.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

FILE = Path(__file__).with_name("race.json")
STEPS = 60


def _beale(x, y, k):
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y**2, 2.625 - x + x * y**3
    return a**2 + b**2 + c**2


SURFACES = {
    "bowl": (lambda x, y, k: 0.5 * (x**2 + k * y**2), (-4.0, 2.0)),
    "rosenbrock": (lambda x, y, k: (1 - x) ** 2 + 100 * (y - x**2) ** 2, (-1.2, 1.0)),
    "beale": (_beale, (1.0, 1.5)),
}
SETTINGS = {
    "SGD": [{"lr": 0.001}, {"lr": 0.0003}],
    "momentum": [{"lr": 0.0005}, {"lr": 0.0003, "momentum": 0.5}],
    "Nesterov": [{"lr": 0.0005}, {"lr": 0.0003, "momentum": 0.5}],
    "RMSProp": [{"lr": 0.01}, {"lr": 0.03, "alpha": 0.9, "eps": 0.1}],
    "Adam": [{"lr": 0.1}, {"lr": 0.03, "beta1": 0.5, "beta2": 0.9, "eps": 0.1}],
}


def _optimizer(name: str, p: torch.Tensor, s: dict) -> torch.optim.Optimizer:
    o = torch.optim
    if name == "SGD":
        return o.SGD([p], lr=s["lr"])
    if name in ("momentum", "Nesterov"):
        mu = s.get("momentum", 0.9)
        return o.SGD([p], lr=s["lr"], momentum=mu, nesterov=name == "Nesterov")
    eps = s.get("eps", 1e-8)
    if name == "RMSProp":
        return o.RMSprop([p], lr=s["lr"], alpha=s.get("alpha", 0.99), eps=eps)
    return o.Adam([p], lr=s["lr"], betas=(s.get("beta1", 0.9), s.get("beta2", 0.999)), eps=eps)


def vectors() -> list[dict]:
    """Each optimizer on each surface with two settings: positions for steps 0 … 60."""
    out = []
    for surface, (f, start) in SURFACES.items():
        for name, choices in SETTINGS.items():
            for i, chosen in enumerate(choices):
                settings = {**chosen, "kappa": [100.0, 7.0][i]}
                p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
                optimizer = _optimizer(name, p, settings)
                path = p.tolist()
                for _ in range(STEPS):
                    optimizer.zero_grad()
                    f(p[0], p[1], settings["kappa"]).backward()
                    optimizer.step()
                    path += p.tolist()
                out.append(
                    {
                        "optimizer": name,
                        "surface": surface,
                        "settings": settings,
                        "start": start,
                        "path": path,
                    }
                )
    return out


if __name__ == "__main__":
    FILE.write_text(json.dumps({"steps": STEPS, "vectors": vectors()}) + "\n")
