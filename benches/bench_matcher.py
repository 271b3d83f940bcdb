"""Finding all patterns in a text, compared with a plain loop over one compiled regular expression per phrase.

The loop does less: it ignores irregular forms, sentences, negation and scores. The texts are the prose of the famous
outages, cut into documents of 1,500 characters. Both sides run on one core, in turns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from benches.figures import Figure
from incidents.outages import files
from kb.patterns.evaluation import labelled_outages
from kb.patterns.matcher import match, shipped_rules
from kb.patterns.phrases import ANYWHERE, Chain, Element, Phrase
from kb.patterns.reading import fields

CHARACTERS = 1_500
# The loop is slow, so a sample of the texts is enough to measure it.
LOOP_SAMPLE = 40


def run(rounds: int) -> list[Figure]:
    texts = _texts()
    rules = shipped_rules()
    loop = [re.compile(_pattern(phrase), re.IGNORECASE) for phrase in rules.phrases]
    searches = [expression.search for expression in loop]
    some = texts[:LOOP_SAMPLE]
    # Warm the memos that are kept between texts before the first round.
    _seconds(lambda: [match(rules, {"text": text}) for text in texts])
    ours, plain = [], []
    for _ in range(rounds):
        ours.append(len(texts) / _seconds(lambda: [match(rules, {"text": text}) for text in texts]))
        plain.append(LOOP_SAMPLE / _seconds(lambda: [[search(text) for search in searches] for text in some]))
    return [
        Figure(f"plain loop of {len(loop)} regular expressions", "documents/s", plain),
        Figure("patterns found, on one core", "documents/s", ours, least=2_000),
        Figure("matcher / plain loop", "", [mine / theirs for mine, theirs in zip(ours, plain, strict=True)], least=10),
    ]


def _texts() -> list[str]:
    """Consecutive documents of equal length, cut from the prose of the outages."""
    prose = "\n\n".join("\n\n".join(fields(one.document).values()) for one in labelled_outages(files.FOLDER))
    whole = range(0, len(prose) - CHARACTERS, CHARACTERS)
    return [prose[start : start + CHARACTERS] for start in whole]


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _pattern(phrase: Phrase) -> str:
    return "|".join(_chain(chain) for chain in phrase.chains)


def _chain(chain: Chain) -> str:
    out = _element(chain.elements[0])
    for most, element in zip(chain.gaps, chain.elements[1:], strict=True):
        between = r"[^.!?]*?\W" if most >= ANYWHERE else rf"\W+(?:\w+\W+){{0,{most}}}?"
        out += between + _element(element)
    return out


def _element(element: Element) -> str:
    ways = (r"\W+".join(rf"\b{re.escape(stem)}\w*" for stem in run) for run in sorted(element))
    return f"(?:{'|'.join(ways)})"
