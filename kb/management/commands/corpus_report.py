"""Reports what the corpus of famous outages covers, counted from its files."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from incidents.management import arguments
from incidents.outages import files, rules
from incidents.vocabulary import Family
from kb.patterns import vocabulary

# Sectors outside the web industry, whose failures differ from those of web companies.
BEYOND_WEB = frozenset(
    {
        "telecom",
        "finance",
        "aviation",
        "space",
        "health",
        "energy",
        "government",
        "defence",
        "transport",
        "manufacturing",
    }
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts over the outage files. Every `by_...` mapping counts incidents."""

    incidents: int
    organizations: int
    sources: int
    primary_sources: int
    archived_sources: int
    timeline_events: int
    beyond_web: int
    by_period: dict[str, int]
    by_sector: dict[str, int]
    by_pattern: dict[str, int]
    by_family: dict[str, int]


def coverage(definitions: Sequence[Mapping[str, Any]]) -> Coverage:
    """Count the corpus. The definitions must be valid."""
    years = [int(definition["id"][:4]) for definition in definitions]
    sources = [source for definition in definitions for source in definition["sources"]]
    patterns = Counter(pattern["slug"] for definition in definitions for pattern in definition["patterns"])
    families = Counter(family for d in definitions for family in {cause["family"] for cause in d["causes"]})
    sectors = Counter(definition["organization"]["sector"] for definition in definitions)
    return Coverage(
        incidents=len(definitions),
        organizations=len({definition["organization"]["name"] for definition in definitions}),
        sources=len(sources),
        primary_sources=sum(source["primary"] for source in sources),
        archived_sources=sum(source["archive_url"] is not None for source in sources),
        timeline_events=sum(len(definition["timeline"]) for definition in definitions),
        beyond_web=sum(count for sector, count in sectors.items() if sector in BEYOND_WEB),
        by_period={
            "before 2012": sum(year < 2012 for year in years),
            "2012 to 2022": sum(2012 <= year < 2023 for year in years),
            "from 2023 on": sum(year >= 2023 for year in years),
        },
        by_sector=dict(sectors.most_common()),
        by_pattern={
            slug: patterns[slug] for slug in sorted(vocabulary.slugs(), key=lambda slug: (-patterns[slug], slug))
        },
        by_family={str(family): families[family] for family in Family},
    )


class Command(BaseCommand):
    help = "Print what the corpus of famous outages covers, by period, sector, family of causes and pattern."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", nargs="?", type=Path, default=files.FOLDER)

    def handle(self, *, path: Path, **options: Any) -> None:
        read = [files.read(file) for file in arguments.outage_files(path)]
        slugs = vocabulary.slugs()
        for file in read:
            rules.check(file, patterns=slugs)
        if wrong := [file.id for file in read if not file.is_valid]:
            raise CommandError(
                f"{len(wrong)} of {len(read)} files are invalid. Run check_outages {path} to see why.", returncode=1
            )
        found = coverage([file.definition for file in read if file.definition])
        console = Console(file=cast("IO[str]", self.stdout))
        totals = {
            "incidents": found.incidents,
            "organizations": found.organizations,
            "outside web companies": found.beyond_web,
            **found.by_period,
            "timeline events": found.timeline_events,
            "sources": found.sources,
            "primary sources": found.primary_sources,
            "sources with an archived copy": found.archived_sources,
        }
        for title, counts in (
            ("Corpus", totals),
            ("Sector", found.by_sector),
            ("Family of causes", found.by_family),
            ("Pattern", found.by_pattern),
        ):
            table = Table(title, "n")
            for name, count in counts.items():
                table.add_row(name, f"{count:,}")
            console.print(table)
