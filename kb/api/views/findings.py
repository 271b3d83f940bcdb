"""What is found about an incident: the failure patterns it shows, and similar incidents."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from incidents.document import Reading
from incidents.errors import Missing
from kb.api import etags
from kb.api.base import answer, page
from kb.api.operations import reads, writes
from kb.api.views.incidents import IncidentView
from kb.api.views.knowledge import represent_result
from kb.patterns import decisions
from kb.patterns.anchors import relocate
from kb.patterns.models import SHOWN, PatternStatus, Tag, TagSource, TagState
from kb.search.similar import similar


class TagView(IncidentView):
    def tags(self, reading: Reading) -> list[Tag]:
        """The tags that the viewer can see, by slug. Rejected ones are only for viewers who can decide."""
        states = [*SHOWN, TagState.SUGGESTED]
        if decisions.may_decide(self.viewer, reading.incident):
            states.append(TagState.REJECTED)
        found = Tag.objects.filter(incident=reading.incident, state__in=states)
        found = found.filter(pattern__status=PatternStatus.ACTIVE).select_related("pattern", "decided_by")
        return list(found.order_by("pattern__slug"))

    def represent(self, tag: Tag, reading: Reading) -> dict[str, Any]:
        # A suggested tag with a decision was rejected before: only viewers who can decide learn by whom.
        shows_decision = tag.state != TagState.SUGGESTED or decisions.may_decide(self.viewer, reading.incident)
        return {
            "url": self.address("incident-pattern", ref=reading.incident.ref, slug=tag.pattern.slug),
            "slug": tag.pattern.slug,
            "name": tag.pattern.name,
            "family": tag.pattern.family,
            "state": tag.state,
            "source": tag.source,
            "rule_version": tag.rule_version if tag.source == TagSource.RULE else None,
            "score": tag.score,
            "reason": tag.reason if tag.state == TagState.REJECTED else "",
            "decided_by": tag.decided_by.name
            if tag.decided_by and shows_decision and self.viewer.is_signed_in
            else None,
            "decided_at": tag.decided_at.isoformat() if tag.decided_at and shows_decision else None,
            "evidence": [
                {"field": anchor.field, "start": anchor.start, "end": anchor.end, "quote": anchor.quote}
                for anchor in relocate(tag.shown_evidence, reading.document)
            ],
        }

    def respond_with_tag(self, ref: str, slug: str, *, status: int = 200, location: str | None = None) -> Response:
        """Respond with the tag after a decision about it."""
        reading = self.find(ref)
        tag = Tag.objects.select_related("pattern", "decided_by").get(incident=reading.incident, pattern__slug=slug)
        body = self.represent(tag, reading)
        return answer(body, etag=etags.of_content(body), status=status, location=location)


class Tags(TagView):
    @reads(
        "List an incident's patterns",
        description="Lists the failure patterns that the incident shows, each with the sentences that show it. "
        "Suggested patterns are included.",
        answer="TagList",
    )
    def get(self, request: Request, ref: str) -> Response:
        reading = self.find(ref)
        return page([self.represent(tag, reading) for tag in self.tags(reading)])

    @writes(
        "Add a pattern to an incident",
        description="Adds the pattern as confirmed. If the incident has it already, as a suggestion for example, this "
        "confirms it and returns 200.",
        body="TagCreate",
        answer="Tag",
        status=201,
        may_exist=True,
    )
    def post(self, request: Request, ref: str) -> Response:
        incident = self.locate(ref)
        tag, is_new = decisions.add(
            actor=self.viewer,
            incident_id=incident.pk,
            slug=self.body["slug"],
            sentence=self.body.get("sentence"),
        )
        slug = tag.pattern.slug
        location = self.address("incident-pattern", ref=incident.ref, slug=slug)
        return self.respond_with_tag(ref, slug, status=201 if is_new else 200, location=location)


class OneTag(TagView):
    @reads(
        "Get one of an incident's patterns",
        description="Shows why the incident carries the pattern: its state, its source, and the evidence.",
        answer="Tag",
        etag=True,
    )
    def get(self, request: Request, ref: str, slug: str) -> Response:
        reading = self.find(ref)
        tag = next((one for one in self.tags(reading) if one.pattern.slug == slug), None)
        if tag is None:
            raise Missing
        body = self.represent(tag, reading)
        return answer(body, etag=etags.of_content(body))


class Confirm(TagView):
    @writes("Confirm a pattern", answer="Tag")
    def post(self, request: Request, ref: str, slug: str) -> Response:
        decisions.confirm(actor=self.viewer, incident_id=self.locate(ref).pk, slug=slug)
        return self.respond_with_tag(ref, slug)


class Reject(TagView):
    @writes(
        "Reject a pattern",
        description="Only a later version of the rule can suggest the pattern again, and only if it finds new "
        "evidence.",
        body="TagReject",
        answer="Tag",
    )
    def post(self, request: Request, ref: str, slug: str) -> Response:
        decisions.reject(actor=self.viewer, incident_id=self.locate(ref).pk, slug=slug, reason=self.body["reason"])
        return self.respond_with_tag(ref, slug)


class Undo(TagView):
    @writes(
        "Undo the decision about a pattern",
        description="Returns the tag to what its rule or curator says. A pattern that was added by hand is withdrawn.",
        answer="Tag",
    )
    def post(self, request: Request, ref: str, slug: str) -> Response:
        decisions.undo(actor=self.viewer, incident_id=self.locate(ref).pk, slug=slug)
        return self.respond_with_tag(ref, slug)


DECISIONS = {"confirm": Confirm, "reject": Reject, "undo": Undo}


class Similar(IncidentView):
    @reads(
        "List similar incidents",
        description="Lists the most similar incidents that the caller can see, each with the reasons.",
        answer="SimilarList",
    )
    def get(self, request: Request, ref: str) -> Response:
        found = similar(self.viewer, self.locate(ref))
        return page(
            [{**represent_result(self, one.result), "score": one.score, "reasons": one.reasons} for one in found]
        )
