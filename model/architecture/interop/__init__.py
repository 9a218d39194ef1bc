"""To and from published layouts: same numbers, published names. One file per family; `families.py` lists them."""

from model.architecture.interop.families import from_hugging_face, published_name, to_hugging_face
from model.architecture.interop.folder import (
    END_OF_TEXT_ID,
    PAD_ID,
    SpecialIds,
    from_published_tensors,
    load_model,
    save_model,
    special_ids,
    to_published_tensors,
)

__all__ = [
    "END_OF_TEXT_ID",
    "PAD_ID",
    "SpecialIds",
    "from_hugging_face",
    "from_published_tensors",
    "load_model",
    "published_name",
    "save_model",
    "special_ids",
    "to_hugging_face",
    "to_published_tensors",
]
