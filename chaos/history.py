"""Records what was committed when, and derives what each reader must not find.

Every incident carries words that occur in no other. The history of a word is the list of steps that changed its
audience, each with the two times between which it was committed. A search that began after a step was committed must
reflect it; a search that overlaps a step can reflect the state before or after it.

Times are from the machine's monotonic clock, which all its processes share.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum


class Audience(IntEnum):
    """Who can find something. A higher value includes everyone in the lower ones."""

    NOBODY = 0
    TEAM = 1
    SIGNED_IN = 2
    EVERYONE = 3

    @classmethod
    def of(cls, visibility: str) -> Audience:
        return {"public": cls.EVERYONE, "internal": cls.SIGNED_IN, "team": cls.TEAM}[visibility]


# The smallest audience that includes each reader.
READERS = {"anonymous": Audience.EVERYONE, "outsider": Audience.SIGNED_IN, "author": Audience.TEAM}


@dataclass(slots=True)
class Step:
    """A change of audience. `ended` is None until the commit is known to have happened; `audience` None is unknown."""

    began: float
    ended: float | None = None
    audience: Audience | None = None


@dataclass(slots=True)
class Word:
    """A word that occurs in one incident only, and the steps by which its audience changed."""

    text: str
    steps: list[Step] = field(default_factory=list)

    def forbidden(self, reader: str, asked: float, answered: float) -> bool:
        """Whether a search that ran from `asked` to `answered` must not find the word for this reader."""
        needed = READERS[reader]
        before = [step for step in self.steps if step.ended is not None and step.ended <= asked]
        if not before:
            return False
        during = [step for step in self.steps if step.began < answered and (step.ended is None or step.ended > asked)]
        possible = [before[-1].audience, *(step.audience for step in during)]
        return all(audience is not None and audience < needed for audience in possible)


class History:
    """The histories of all words. Thread-safe: writers and readers use it concurrently."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: dict[str, Word] = {}
        self._refs: dict[str, str] = {}
        self._lately: deque[str] = deque(maxlen=40)

    @contextmanager
    def step(self, audiences: Mapping[str, Audience | None]) -> Iterator[None]:
        """Wrap a commit that gives words these audiences. If it raises, the steps stay open until `settle`."""
        began = time.monotonic()
        with self._lock:
            steps = []
            for text, audience in audiences.items():
                step = Step(began, audience=audience)
                self._words.setdefault(text, Word(text)).steps.append(step)
                steps.append(step)
        yield
        ended = time.monotonic()
        with self._lock:
            for step in steps:
                step.ended = ended
            self._lately.extend(audiences)

    def settle(self, audiences: Mapping[str, Audience]) -> None:
        """Set what the record says now, after steps whose outcome was unknown."""
        now = time.monotonic()
        with self._lock:
            for text, audience in audiences.items():
                word = self._words.setdefault(text, Word(text))
                word.steps = [step for step in word.steps if step.ended is not None]
                word.steps.append(Step(now, now, audience))
            self._lately.extend(audiences)

    def doubt(self, texts: Iterable[str]) -> None:
        """Accept any search result for these words from now on, until `settle`."""
        now = time.monotonic()
        with self._lock:
            for text in texts:
                self._words.setdefault(text, Word(text)).steps.append(Step(now))

    def place(self, text: str, ref: str) -> None:
        """Note the reference of the incident that carries this word."""
        with self._lock:
            self._refs[text] = ref

    def ref(self, text: str) -> str | None:
        with self._lock:
            return self._refs.get(text)

    def texts(self) -> list[str]:
        with self._lock:
            return list(self._words)

    def lately(self) -> list[str]:
        """The words whose audience changed most recently."""
        with self._lock:
            return list(self._lately)

    def forbidden(self, text: str, reader: str, asked: float, answered: float) -> bool:
        with self._lock:
            return text in self._words and self._words[text].forbidden(reader, asked, answered)
