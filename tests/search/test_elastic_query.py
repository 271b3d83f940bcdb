"""The requests to Elasticsearch, checked without one."""

from __future__ import annotations

import json
import re

from incidents.scopes import ANONYMOUS
from kb.search.elastic import query
from kb.search.engine import EngineRequest
from kb.search.query import parse


def test_each_section_is_highlighted_by_a_query_of_its_own():
    """With one query over all sections, marking sixty words of a stack trace takes longer than a search is allowed."""
    words = " OR ".join(f"word{n} OR a-{n}" for n in range(30))
    highlight = query.body(EngineRequest(ANONYMOUS, parse(words).root), hidden=[])["highlight"]
    assert "highlight_query" not in highlight
    for field, about in highlight["fields"].items():
        assert set(re.findall(r"text\.\w+", json.dumps(about["highlight_query"]))) == {field}
