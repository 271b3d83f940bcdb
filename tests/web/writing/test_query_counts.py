"""Committed query counts of the editor, above all of each save while typing."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.conftest import fill

# Three of each read the session, the user and the viewer's memberships.
BASELINE = {
    "the editor": 20,
    "a section is saved": 22,
    "a row is saved": 22,
    "a fact is saved": 21,
}


def test_every_save_takes_a_known_number_of_queries(cast, draft, writer):
    incident = draft()
    fill(cast, incident)
    author = writer("author", incident)

    def counted(act):
        with CaptureQueriesContext(connection) as captured:
            answer = act()
        said = [query["sql"] for query in captured.captured_queries]
        return answer, len([sql for sql in said if not sql.startswith(("SAVEPOINT", "RELEASE"))])

    author.open()
    forms, opening = counted(author.open)
    row = next(name for name in forms if name.startswith("form-row-"))
    counts = {"the editor": opening}
    for name, form, typed in (
        ("a section is saved", "form-section-summary", {"body": "The cache was emptied at noon."}),
        ("a row is saved", row, {"text": "The resize flushed every key"}),
        ("a fact is saved", "form-facts", {"severity": "sev2"}),
    ):
        answer, counts[name] = counted(lambda form=form, typed=typed: author.send(forms[form], htmx=True, **typed))
        assert answer.status_code == 200, answer.content
    assert counts == BASELINE
