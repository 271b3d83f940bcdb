"""What an action refuses, in words a person can act on. Web and REST turn these into pages and problem documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError


class ActionError(Exception):
    """Base of everything that an action may refuse."""

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Missing(ActionError):
    """Not there, or not there for this viewer: the two are never told apart."""

    code = "not_found"

    def __init__(self, message: str = "There is no such thing here, or it is not shared with you.") -> None:
        super().__init__(message)


class NotAllowed(ActionError):
    """Visible to the viewer, but not theirs to change."""

    code = "not_allowed"


class Invalid(ActionError):
    """Bad input. `fields` maps the field's path to the messages about it."""

    code = "invalid"

    def __init__(self, fields: Mapping[str, str | list[str]]) -> None:
        self.fields = {name: [text] if isinstance(text, str) else list(text) for name, text in fields.items()}
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in self.fields.items()))


@contextmanager
def within(path: str) -> Iterator[None]:
    """What is Invalid in here is named by its path from further out."""
    try:
        yield
    except Invalid as error:
        raise Invalid({f"{path}.{name}": texts for name, texts in error.fields.items()}) from error


class Stale(ActionError):
    """Somebody else saved first. `current_version` is what stands now; `field` is the path of the version that a body
    named for a part of it."""

    code = "stale"

    def __init__(self, current_version: int, *, field: str = "") -> None:
        super().__init__("This was changed by someone else since you opened it. Compare both texts and save again.")
        self.current_version = current_version
        self.field = field


class WrongState(ActionError):
    """The thing is in a state that does not allow this step."""

    code = "wrong_state"


class Incomplete(ActionError):
    """Not ready to publish: `missing` maps section keys to what they lack."""

    code = "incomplete"

    def __init__(self, missing: Mapping[str, str]) -> None:
        self.missing = dict(missing)
        super().__init__("Before this can be published: " + "; ".join(self.missing.values()))


def refusal_of(error: Exception) -> ActionError | None:
    """What an exception refuses, if it is no failure.

    That something which a change refers to was just deleted, the database finds only when the change is committed.
    To hold all of that meanwhile would make everybody wait who writes about the same organization.
    """
    if isinstance(error, ActionError):
        return error
    if isinstance(error, IntegrityError) and _misses_what_it_refers_to(error.__cause__):
        return WrongState("Something that this refers to was just deleted. Read it again.")
    return None


def _misses_what_it_refers_to(cause: BaseException | None) -> bool:
    """In the words of PostgreSQL, or of SQLite."""
    return (
        getattr(cause, "sqlstate", None) == "23503"
        or getattr(cause, "sqlite_errorname", None) == "SQLITE_CONSTRAINT_FOREIGNKEY"
    )
