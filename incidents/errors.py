"""Errors that actions raise, with messages a user can act on. Web and REST show them as pages and problem documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError


class ActionError(Exception):
    """Base class of every refusal by an action."""

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Missing(ActionError):
    """The object does not exist or is hidden from this viewer. The two cases look the same on purpose."""

    code = "not_found"
    DEFAULT = "This does not exist, or it is not shared with you."

    def __init__(self, message: str = DEFAULT) -> None:
        super().__init__(message)


class NotAllowed(ActionError):
    """Visible to the viewer, but not theirs to change."""

    code = "not_allowed"


class Invalid(ActionError):
    """Bad input. `fields` maps each field's path to the messages about it."""

    code = "invalid"

    def __init__(self, fields: Mapping[str, str | list[str]]) -> None:
        self.fields = {name: [text] if isinstance(text, str) else list(text) for name, text in fields.items()}
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in self.fields.items()))


@contextmanager
def field_prefix(path: str) -> Iterator[None]:
    """Prefix the field paths of an Invalid raised in the block with `path`."""
    try:
        yield
    except Invalid as error:
        raise Invalid({f"{path}.{name}": texts for name, texts in error.fields.items()}) from error


class Stale(ActionError):
    """Someone else saved first. `current_version` is the stored version. `field` is the path of the stale version in
    the request body, when it belongs to a section or row."""

    code = "stale"

    def __init__(self, current_version: int, *, field: str = "") -> None:
        super().__init__("Someone else changed this after you opened it. Compare the two versions and save again.")
        self.current_version = current_version
        self.field = field


class WrongState(ActionError):
    """The object's state does not allow this step."""

    code = "wrong_state"


class Incomplete(ActionError):
    """Not ready to publish: `missing` maps section keys to what they lack."""

    code = "incomplete"

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        super().__init__("Not ready to publish. " + "; ".join(self.missing.values()))


def refusal_of(error: Exception) -> ActionError | None:
    """The refusal that an exception stands for, or None when it is a real failure.

    When a change refers to a row that was just deleted, the foreign key fails only at commit. Locking every row that
    a change refers to would instead make all writers of the same organization wait for each other.
    """
    if isinstance(error, ActionError):
        return error
    if isinstance(error, IntegrityError) and _is_foreign_key_violation(error.__cause__):
        return WrongState("Something this refers to was just deleted. Reload and try again.")
    return None


def _is_foreign_key_violation(cause: BaseException | None) -> bool:
    """As PostgreSQL or SQLite reports it."""
    return (
        getattr(cause, "sqlstate", None) == "23503"
        or getattr(cause, "sqlite_errorname", None) == "SQLITE_CONSTRAINT_FOREIGNKEY"
    )
