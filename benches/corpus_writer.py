"""`python -m benches.corpus_writer COUNT`: writes the corpus to the database and, in embedded mode, indexes it too."""

from __future__ import annotations

import sys

import django


def main(count: int) -> None:
    from django.conf import settings

    from benches import corpus
    from incidents.management.progress import bar
    from incidents.models import Incident
    from kb.search.database.engine import DatabaseEngine
    from kb.search.document import build_many

    with bar("Generating", count) as progress_bar:
        for done in corpus.generate(count):
            progress_bar.advance(done)
    if not settings.ELASTICSEARCH_URL:
        ids = list(Incident.objects.order_by("pk").values_list("pk", flat=True))
        with bar("Indexing", count) as progress_bar:
            for start in range(0, count, corpus.BATCH):
                some = ids[start : start + corpus.BATCH]
                DatabaseEngine().index(list(build_many(some).values()))
                progress_bar.advance(len(some))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
