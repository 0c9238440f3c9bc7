"""Plain values: what may cross between a probe and a judge, and a text form that cannot execute.

Plain is: None, bool, int, float, str, list, dict with str keys, and numpy arrays of numbers or bools.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from typing import Any

import numpy as np

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 24
MAX_ITEMS = 100_000
MAX_DIGITS = 1_000
_DTYPES = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
}
_ARRAY = "$array"


class NotPlain(ValueError):
    """A value that may not cross, with words that say why."""


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array_of(tensor: Any) -> np.ndarray:
    import torch

    tensor = tensor.detach().as_subclass(torch.Tensor).cpu().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.numpy().copy()


def to_plain(value: Any, depth: int = 0) -> Any:
    """Copy `value` into plain values: tensors become arrays, tuples lists, numpy scalars numbers.

    Raises NotPlain for anything else, or for what is too deep or too long.
    """
    if depth > MAX_DEPTH:
        raise NotPlain(f"nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if value is None or kind in (bool, float, str):
        return value
    if kind is int:
        if abs(value) >= 10**MAX_DIGITS:
            raise NotPlain(f"a number of more than {MAX_DIGITS} digits")
        return value
    if isinstance(value, np.generic):
        return to_plain(value.item(), depth + 1)
    if kind is np.ndarray:
        if value.dtype.name not in _DTYPES:
            raise NotPlain(f"an array of {value.dtype}")
        return value.copy()
    if _is_tensor(value):
        return to_plain(_array_of(value), depth)
    if kind in (list, tuple):
        if len(value) > MAX_ITEMS:
            raise NotPlain(f"a list of {len(value):,} items")
        return [to_plain(v, depth + 1) for v in value]
    if kind is dict:
        if len(value) > MAX_ITEMS:
            raise NotPlain(f"a dict of {len(value):,} items")
        for key in value:
            if type(key) is not str or key == _ARRAY:
                raise NotPlain(f"a dict with the key {key!r:.60}")
        return {k: to_plain(v, depth + 1) for k, v in value.items()}
    raise NotPlain(f"a {kind.__name__}")


def encode(value: Any) -> str:
    """Plain values as JSON text; arrays as their dtype, shape and base64 bytes. Raises NotPlain."""

    def default(x: Any) -> Any:
        return {_ARRAY: [x.dtype.name, list(x.shape), base64.b64encode(x.tobytes()).decode()]}

    text = json.dumps(to_plain(value), default=default)
    if len(text) > MAX_BYTES:
        raise NotPlain(f"a result of {len(text) / 2**20:.0f} MB, more than {MAX_BYTES // 2**20} MB")
    return text


def decode(text: str) -> Any:
    """The inverse of `encode`, for text that is not trusted. Raises NotPlain on anything malformed."""
    if type(text) is not str or len(text) > MAX_BYTES:
        raise NotPlain("not text, or too long")
    try:
        return to_plain(json.loads(text, object_hook=_decode_object))
    except (ValueError, TypeError, RecursionError) as e:
        raise NotPlain(f"malformed: {e}") from None


def _decode_object(obj: dict[str, Any]) -> Any:
    if _ARRAY not in obj:
        return obj
    dtype, shape, data = obj[_ARRAY]
    if dtype not in _DTYPES or len(shape) > 32 or any(type(n) is not int or n < 0 for n in shape):
        raise NotPlain("an array that cannot be")
    raw = base64.b64decode(data, validate=True)
    if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise NotPlain("an array whose bytes do not fill its shape")
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def observe(value: Any, depth: int = 0) -> dict[str, Any]:
    """Describe any value plainly, without deciding anything.

    Returns a dict with "kind" and, by kind:

    - "none"; "bool", "int", "float", "str" with "value"
    - "tensor": "dtype", "shape", "device", "requires_grad", "has_graph", "array" (None if it has no plain form)
    - "array" (numpy): "dtype", "shape", "array"; "numpy scalar": "dtype", "value"
    - "list", "tuple": "items" (observed); "dict": "items" by str(key)
    - "object": "type"
    """
    if value is None:
        return {"kind": "none"}
    if type(value) in (bool, int, float, str):
        try:
            return {"kind": type(value).__name__, "value": to_plain(value)}
        except NotPlain:
            return {"kind": "object", "type": "int"}
    if _is_tensor(value):
        try:
            array = _array_of(value)
        except (TypeError, RuntimeError, ValueError):
            array = None
        if array is not None and array.dtype.name not in _DTYPES:
            array = None
        return {
            "kind": "tensor",
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": [int(n) for n in value.shape],
            "device": value.device.type,
            "requires_grad": bool(value.requires_grad),
            "has_graph": value.grad_fn is not None,
            "array": array,
        }
    if isinstance(value, np.ndarray) and value.dtype.name in _DTYPES:
        value = np.asarray(value)
        return {
            "kind": "array",
            "dtype": value.dtype.name,
            "shape": list(value.shape),
            "array": value.copy(),
        }
    if isinstance(value, np.generic) and value.dtype.name in _DTYPES:
        return {"kind": "numpy scalar", "dtype": value.dtype.name, "value": value.item()}
    if type(value) in (list, tuple, dict) and depth < 6 and len(value) <= 10_000:
        if type(value) is dict:
            items: Any = {str(k): observe(v, depth + 1) for k, v in value.items()}
        else:
            items = [observe(v, depth + 1) for v in value]
        return {"kind": type(value).__name__, "items": items}
    return {"kind": "object", "type": type(value).__name__}
