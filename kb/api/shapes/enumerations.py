"""The enumerations, as schemas of their own: clients that are generated from the document get one type for each."""

from __future__ import annotations

from typing import Any

from incidents import vocabulary
from incidents.durations import DurationKind
from kb.api.models import Scope
from kb.patterns.models import PatternStatus, TagSource, TagState

_ALL = (
    vocabulary.ActionKind,
    vocabulary.ActionState,
    vocabulary.CauseKind,
    vocabulary.DetectedBy,
    vocabulary.EventKind,
    vocabulary.Family,
    vocabulary.LinkKind,
    vocabulary.Mitigation,
    vocabulary.Origin,
    vocabulary.Precision,
    vocabulary.Qualifier,
    vocabulary.ReviewState,
    vocabulary.Role,
    vocabulary.SectionKind,
    vocabulary.Severity,
    vocabulary.Status,
    vocabulary.Visibility,
    DurationKind,
    PatternStatus,
    Scope,
    TagSource,
    TagState,
)
SHAPES: dict[str, dict[str, Any]] = {
    one.__name__: {"type": "string", "enum": [member.value for member in one]} for one in _ALL
}
# {values: the name of the enumeration that has exactly these}.
NAMES = {tuple(shape["enum"]): name for name, shape in SHAPES.items()}
