"""Maintains the search index: status, rebuild, promote, rollback, retire, audit, retry."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from incidents import outbox
from incidents.wording import with_noun
from kb.search import rebuild, relay
from kb.search.elastic import generations
from kb.search.engine import Unavailable

STEPS = ("status", "rebuild", "promote", "rollback", "retire", "audit", "retry")


class Command(BaseCommand):
    help = (
        "Maintain the search index: show its status, rebuild it, promote, roll back or retire a generation, audit it "
        "against the record, or retry parked entries. Nothing written during a rebuild is lost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("step", choices=STEPS)
        parser.add_argument("--generation", help="the generation to promote; the newest by default")

    def handle(self, *args: Any, step: str, generation: str | None, **options: Any) -> None:
        self.console = Console(file=cast("IO[str]", self.stdout))
        if step in ("rebuild", "promote", "rollback", "retire") and not settings.ELASTICSEARCH_URL:
            raise CommandError(
                "ELASTICSEARCH_URL is not set. The database index has no generations; "
                "`search_index audit` checks and repairs it."
            )
        try:
            getattr(self, step)(*([generation] if step == "promote" else []))
        except Unavailable as error:
            raise CommandError(f"Elasticsearch cannot be reached: {error}") from error
        except (rebuild.GateClosed, rebuild.RebuildInProgress, LookupError) as error:
            raise CommandError(str(error)) from error

    def status(self) -> None:
        if settings.ELASTICSEARCH_URL:
            table = Table("generation", "read", "written", "mapping", "documents")
            for g in generations.generations():
                mapping = "current" if g.is_current else "outdated: rebuild"
                count = generations.count_documents(g)
                documents = "unreachable" if count is None else f"{count:,}"
                table.add_row(g.name, "yes" if g.reads else "", "yes" if g.writes else "", mapping, documents)
            self.console.print(table)
        table = Table("consumer", "waiting", "retrying", "parked", "lag", "paused")
        for depth in outbox.depths():
            table.add_row(
                depth.consumer,
                str(depth.waiting),
                str(depth.retrying),
                str(depth.parked),
                f"{depth.lag_seconds:.0f} s",
                "yes" if depth.paused else "",
            )
        self.console.print(table)
        for one in outbox.parked():
            self.console.print(f"INC-{one.incident_id} is parked for {one.consumer}: {one.reason}")

    def rebuild(self) -> None:
        columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task("indexing", total=rebuild.total())
            made = rebuild.rebuild(lambda count: bar.advance(task, count))
        self.console.print(
            f"{made.name} is serving searches. `search_index rollback` returns to the previous generation, "
            "`search_index retire` removes it."
        )

    def promote(self, name: str | None) -> None:
        existing = generations.generations()
        found = [g for g in existing if g.name == name] if name else existing[-1:]
        if not found:
            raise CommandError("There is no such generation. `search_index status` lists the existing ones.")
        rebuild.promote(found[0])
        self.console.print(f"{found[0].name} is serving searches.")

    def rollback(self) -> None:
        self.console.print(f"{rebuild.rollback().name} is serving searches again.")

    def retire(self) -> None:
        retired = rebuild.retire()
        self.console.print(f"Retired {', '.join(g.name for g in retired)}." if retired else "Nothing to retire.")

    def audit(self) -> None:
        finding = relay.audit()
        for consumer, outcomes in finding.by_consumer.items():
            if not outcomes:
                self.console.print(f"{consumer}: matches the record.")
                continue
            for outcome in sorted(set(outcomes.values())):
                refs = [f"INC-{pk}" for pk, found in sorted(outcomes.items()) if found is outcome]
                self.console.print(
                    f"{consumer}: {len(refs)} to {outcome}: {', '.join(refs[:10])}{' …' if len(refs) > 10 else ''}"
                )
            self.console.print("They were added to the outbox again.")
        if finding.consumers_ahead:
            self.console.print(
                "The index is ahead of the record, as happens when a backup is restored. "
                "Run `search_index rebuild` to correct it."
            )

    def retry(self) -> None:
        self.console.print(f"{with_noun(outbox.retry_parked(), 'parked entry,parked entries')} will be retried.")
