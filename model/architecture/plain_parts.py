"""Whether a part is what its kind says and nobody looks at it, so that a kernel may stand for several parts at once.

Asked at every use, since an adapter, a hook or a parametrization may come at any time.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

TENSORS = frozenset({Tensor, nn.Parameter, nn.Buffer})
"""Kinds of plain numbers; a subclass of theirs may mean something else by them."""


def is_unwatched(part: nn.Module) -> bool:
    """Whether calling a part is nothing more than its kind's `forward`: no hooks, no `forward` of its own."""
    if part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks:
        return False
    return "forward" not in part.__dict__ and not _has_any_global_hook()


def is_plain_product(part: Any) -> bool:
    """Whether a part is exactly a product of which its weights say all, without bias, and nobody looks at it."""
    kind = type(part)  # of a subclass nothing is known, whatever it inherits
    if kind.__dict__.get("by_weights_alone") is not kind.forward:
        return False
    return is_unwatched(part) and part.bias is None and type(part.weight) in TENSORS
