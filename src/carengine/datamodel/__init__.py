"""CAR's data model: what events are about, what happens to it, and what is known of it.

The facts are data: ``objects/*.yaml``, one file for each of CAR's 13 objects, read by
``load_model`` and held as ``DataModel`` → ``ObjectSpec`` → ``Action``, ``FieldSpec``. Names of
objects, actions and fields are CAR's; the descriptions are ours. A few fields that logs give and
analysts ask for, but CAR lacks, are marked as extensions, each with its reason. A model file or a
field map declares more (`declare_model`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .declaring import (
        declare_model,
        declare_objects,
        declare_text,
        declared_for_now,
        declared_objects,
        model,
    )
    from .loading import load_model
    from .shipped import shipped_model
    from .specs import TIME, Action, DataModel, FieldSpec, ObjectSpec
    from .spellings import fold_name, nearest, typing_errors
else:
    __getattr__ = names_on_demand(
        globals(),
        declaring=(
            "declare_model declare_objects declare_text declared_for_now declared_objects model"
        ),
        loading="load_model",
        shipped="shipped_model",
        specs="TIME Action DataModel FieldSpec ObjectSpec",
        spellings="fold_name nearest typing_errors",
    )

__all__ = [
    "TIME",
    "Action",
    "DataModel",
    "FieldSpec",
    "ObjectSpec",
    "declare_model",
    "declare_objects",
    "declare_text",
    "declared_for_now",
    "declared_objects",
    "fold_name",
    "load_model",
    "model",
    "nearest",
    "shipped_model",
    "typing_errors",
]
