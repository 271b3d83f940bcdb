"""Postmortem templates, failure patterns, and search."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from incidents import scopes
from incidents.actions import organizations as actions
from incidents.errors import Invalid, Missing, Stale
from incidents.models import PostmortemTemplate, Team
from incidents.vocabulary import Family, Status
from kb.api import etags, parameters
from kb.api.base import ApiView, answer, page
from kb.api.documents import name_and_slug
from kb.api.filters import BY_ORGANIZATION
from kb.api.operations import reads, writes
from kb.api.pagination import Order, next_address, paginate
from kb.api.parameters import PAGING, Parameter
from kb.api.shapes.parts import choice, text
from kb.insights.patterns import pattern_insight
from kb.patterns.decisions import precision
from kb.patterns.models import SHOWN, Pattern, PatternStatus
from kb.search.engine import FACETS, SORTS
from kb.search.fields import FIELDS
from kb.search.results import Result
from kb.search.service import CHOICES, YEAR, BadCursor, BadRequest, Page, SearchRequest, search


# --- Templates -------------------------------------------------------------------------------------
class TemplateView(ApiView):
    def visible(self) -> QuerySet[PostmortemTemplate]:
        """Shared templates for everyone; those of teams only for signed-in viewers."""
        templates = PostmortemTemplate.objects.select_related("team")
        return templates if self.viewer.is_signed_in else templates.filter(team__isnull=True)

    def find(self, key: str, **which: Any) -> PostmortemTemplate:
        found = self.visible().filter(key=key, **which).first()
        if found is None:
            raise Missing
        return found

    def represent(self, template: PostmortemTemplate) -> dict[str, Any]:
        team = template.team
        return {
            "url": self.address("template-version", key=template.key, number=template.number),
            "key": template.key,
            "number": template.number,
            "name": template.name,
            "team": {"name": team.name, "slug": team.slug} if team else None,
            "is_current": template.is_current,
            "created_at": template.created_at.isoformat(),
            "severities": template.definition.get("severities", {}),
            "sections": template.definition["sections"],
        }

    def respond(self, template: PostmortemTemplate, status: int = 200) -> Response:
        body = self.represent(template)
        location = body["url"] if status == 201 else None
        return answer(body, etag=etags.of_version(template.number), status=status, location=location)

    def save(self, key: str, team: Team | None) -> PostmortemTemplate:
        definition = {name: value for name, value in self.body.items() if name != "team"}
        try:
            return actions.save_template(actor=self.viewer, definition={**definition, "key": key}, team=team)
        except Invalid as error:
            # Here the definition is the whole body, so its fields need no prefix.
            fields = {
                name.removeprefix("definition").lstrip(".") or "body": texts for name, texts in error.fields.items()
            }
            raise Invalid(fields) from error


class Templates(TemplateView):
    @reads(
        "List templates",
        description="Lists the current version of each template.",
        answer="TemplateList",
        query=PAGING,
    )
    def get(self, request: Request) -> Response:
        found, next_address = paginate(request, self.visible().filter(is_current=True), Order("key"))
        return page([self.represent(template) for template in found], next_address)

    @writes(
        "Create a template",
        description="Team leads create templates for their team; admins also create shared ones.",
        body="TemplateCreate",
        answer="Template",
        status=201,
    )
    def post(self, request: Request) -> Response:
        taken = Invalid({"key": "A template with this key already exists. Replace it, or choose another key."})
        if PostmortemTemplate.objects.filter(key=self.body["key"]).exists():
            raise taken
        team = actions.find_team(self.viewer, self.body.get("team"))
        saved = self.save(self.body["key"], team)
        if saved.number > 1:
            # A concurrent request created it first.
            raise taken
        return self.respond(saved, 201)


class Template(TemplateView):
    @reads("Get a template", description="Returns the current version.", answer="Template", etag=True)
    def get(self, request: Request, key: str) -> Response:
        return self.respond(self.find(key, is_current=True))

    @writes(
        "Replace a template",
        description="Saves the definition as the next version. Existing postmortems keep the version they were "
        "written from.",
        body="TemplateReplace",
        answer="Template",
        precondition="required",
    )
    def put(self, request: Request, key: str) -> Response:
        current = self.find(key, is_current=True)
        # Locked, so that the version just checked is still the current one when the next is saved.
        held = PostmortemTemplate.objects.select_for_update().get(pk=current.pk)
        expected = self.condition().expected(held.number)
        if expected is not None and (expected != held.number or not held.is_current):
            raise Stale(held.number)
        return self.respond(self.save(key, current.team))


class TemplateVersion(TemplateView):
    @reads(
        "Get a version of a template",
        description="A version never changes once it is saved.",
        answer="Template",
        etag=True,
    )
    def get(self, request: Request, key: str, number: int) -> Response:
        return self.respond(self.find(key, number=number))


# --- Patterns --------------------------------------------------------------------------------------
FAMILY = Parameter("family", "The family of the pattern.", choice(Family.values), many=True)


class PatternView(ApiView):
    def patterns(self) -> QuerySet[Pattern]:
        """All patterns, annotated with `incidents`: how many visible, unarchived incidents show each."""
        shown = Q(tags__state__in=SHOWN) & ~Q(tags__incident__status=Status.ARCHIVED)
        visible = scopes.visible_condition(self.viewer, "tags__incident__")
        return Pattern.objects.select_related("merged_into").annotate(incidents=Count("tags", filter=shown & visible))

    def find(self, slug: str) -> Pattern:
        found = self.patterns().filter(slug=slug).first()
        if found is None:
            raise Missing
        return found

    def represent(self, pattern: Pattern) -> dict[str, Any]:
        return {
            "url": self.address("pattern", slug=pattern.slug),
            "slug": pattern.slug,
            "name": pattern.name,
            "family": pattern.family,
            "counts": pattern.counts,
            "does_not_count": pattern.does_not_count,
            "advice": pattern.advice,
            "status": PatternStatus(pattern.status).value,
            "merged_into": pattern.merged_into.slug if pattern.merged_into else None,
            "incidents": pattern.incidents,  # type: ignore[attr-defined]
        }


class Patterns(PatternView):
    @reads("List failure patterns", answer="PatternList", query=(FAMILY, *PAGING))
    def get(self, request: Request) -> Response:
        rows = self.patterns()
        if families := request.query_params.getlist("family"):
            if strange := [family for family in families if family not in Family.values]:
                raise Invalid(
                    {"family": f"Unknown family {strange[0][:50]}. Choose one of {', '.join(Family.values)}."}
                )
            rows = rows.filter(family__in=families)
        found, next_address = paginate(request, rows, Order("slug"))
        return page([self.represent(pattern) for pattern in found], next_address)


class OnePattern(PatternView):
    @reads("Get a failure pattern", answer="Pattern", etag=True)
    def get(self, request: Request, slug: str) -> Response:
        body = self.represent(self.find(slug))
        return answer(body, etag=etags.of_content(body))


class PatternStatistics(PatternView):
    @reads(
        "Get statistics of a failure pattern",
        description="When and where the pattern occurred, with which other patterns, what stopped it, and how often "
        "people agreed with its rule. Counts only incidents that the caller can see.",
        answer="PatternStatistics",
    )
    def get(self, request: Request, slug: str) -> Response:
        pattern = self.find(slug)
        known, rule = pattern_insight(self.viewer, pattern), precision(self.viewer, pattern)
        return Response(
            {
                "slug": pattern.slug,
                "incidents": known.total,
                "by_year": [{"year": one.year, "incidents": one.incidents} for one in known.by_year],
                "with_unknown_year": known.n_with_unknown_year,
                "organizations": [
                    {**(name_and_slug(one.organization) or {}), "incidents": one.incidents}
                    for one in known.organizations
                ],
                "together": [
                    {
                        "slug": one.pattern.slug,
                        "incidents": one.incidents,
                        "share": round(one.share, 4),
                        "lift": round(one.lift, 2),
                    }
                    for one in known.together
                ],
                "mitigations": [
                    {"mitigation": one.mitigation.value, "incidents": one.incidents} for one in known.mitigations
                ],
                "with_unknown_mitigation": known.n_with_unknown_mitigation,
                "rule_precision": {
                    "confirmed": rule.confirmed,
                    "rejected": rule.rejected,
                    "share": rule.share,
                    "low": rule.low,
                    "high": rule.high,
                },
            }
        )


# --- Search ----------------------------------------------------------------------------------------
FACET_MEANINGS = {
    "severity": "`unknown` matches incidents without a severity.",
    "status": "By default, all but archived ones.",
    "pattern": "Slug of a pattern that the incident shows.",
    "family": "Family of one of its patterns or causes.",
    "year": "The year in which the impact began, or `unknown`.",
    "origin": "Where the incident comes from: written here, a famous outage, or imported.",
    "detected_by": "Who or what noticed the incident first.",
    "mitigation": "What stopped the impact.",
    "duration": "How long the incident lasted.",
}


def _facet(name: str) -> Parameter:
    values, description = text(), FACET_MEANINGS.get(name, "")
    if name in CHOICES:
        values = choice(CHOICES[name])
    elif name == "year":
        values = {**text(), "pattern": YEAR}
    elif name == "organization":
        description = f"{BY_ORGANIZATION} The facet in the response contains names."
    return Parameter(name, description, values, many=True)


SEARCH = (
    Parameter(
        "q",
        'Words, "exact phrases", and fields such as severity:sev1; or a pasted log line. Empty matches everything. '
        f"The fields are {', '.join(field.name for field in FIELDS)}.",
    ),
    parameters.one_of("sort", SORTS, "`relevance` by default."),
    *map(_facet, FACETS),
    *PAGING,
)


class Search(ApiView):
    @reads(
        "Search incidents",
        description="Full-text search over the incidents that the caller can see. Archived ones are left out unless "
        "the query or `status` asks for them.",
        answer="SearchAnswer",
        query=SEARCH,
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        search_request = SearchRequest(
            q=query.get("q", ""),
            filters={facet: query.getlist(facet) for facet in FACETS if facet in query},
            sort=query.get("sort", SORTS[0]),
            page_size=parameters.page_size(query),
            cursor=query.get("cursor", ""),
        )
        try:
            found = search(self.viewer, search_request)
        except BadRequest as error:
            raise Invalid({error.field: error.message}) from error
        except BadCursor as error:
            raise Invalid({"cursor": str(error)}) from error
        return Response(self._represent(request, found))

    def _represent(self, request: Request, found: Page) -> dict[str, Any]:
        return {
            "query": found.query,
            "engine": found.engine,
            "degraded": found.degraded,
            "took_ms": found.took_ms,
            "total": found.total,
            "results": [
                {
                    **represent_result(self, result),
                    "score": result.score,
                    "highlights": _highlights(result),
                    "why": list(result.why),
                }
                for result in found.results
            ],
            "facets": {
                facet: [{"value": value.value, "count": value.count} for value in values]
                for facet, values in found.facets.items()
            },
            "next": next_address(request, found.next_cursor) if found.next_cursor else None,
            "corrections": [
                {"found": fix.found, "suggestion": fix.suggestion, "query": fix.query, "reason": fix.reason}
                for fix in found.corrections
            ],
            "notices": list(found.notices),
        }


def _highlights(result: Result) -> list[dict[str, str]]:
    """The sections that contain words of the query; the title first if it is one of them."""
    marked = [{"section": part.section, "html": str(part.html)} for part in result.highlights]
    title = str(result.title_html)
    # Anything else in the title that looks like markup is escaped, so this <mark> is a match.
    return [{"section": "title", "html": title}, *marked] if "<mark>" in title else marked


def represent_result(view: ApiView, result: Result) -> dict[str, Any]:
    """The fields that search results and similar incidents have in common."""
    return {
        "ref": result.ref,
        "id": result.id,
        "external_id": result.external_id,
        "title": result.title,
        "url": view.address("incident", ref=result.ref),
        "organization": result.organization,
        "origin": result.origin,
        "severity": result.severity,
        "status": result.status,
        "visibility": result.visibility,
        "started_at": result.started_at.isoformat() if result.started_at else None,
        "started_precision": result.started_precision,
        "duration_seconds": result.duration_seconds,
        "patterns": list(result.patterns),
        "suggested_patterns": list(result.suggested_patterns),
        "source_urls": list(result.source_urls),
    }
