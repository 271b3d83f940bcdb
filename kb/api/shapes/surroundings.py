"""Organizations, services, teams, templates, patterns, search, tokens, the caller, and problems."""

from __future__ import annotations

from incidents.template import MOST_SECTIONS, SCHEMA
from incidents.vocabulary import Family, Mitigation, Origin, Precision, Role, Severity, Status, Visibility
from kb.api.models import Scope
from kb.api.problems import CODES
from kb.api.shapes.parts import (
    Schema,
    array,
    choice,
    flag,
    instant,
    nullable,
    number,
    obj,
    page,
    ref,
    text,
    url,
    uuid,
    whole,
)
from kb.api.tokens import MOST_DAYS
from kb.patterns.decisions import REASON_CHARACTERS
from kb.patterns.models import PatternStatus, TagSource, TagState
from kb.search.engine import FACETS

_TEAM = nullable(obj({"name": text(), "slug": text()}))
_ANY_SECTION = array({"type": "object"}, "As templates/postmortem.schema.json describes.", most=MOST_SECTIONS)


def _change(fields: dict[str, Schema]) -> Schema:
    return obj(fields, optional=fields)


_RESULT: dict[str, Schema] = {
    "ref": text(),
    "id": uuid(),
    "external_id": nullable(text()),
    "title": text(),
    "url": url(),
    "organization": text(),
    "origin": choice(Origin.values),
    "severity": nullable(choice(Severity.values)),
    "status": choice(Status.values),
    "visibility": choice(Visibility.values),
    "started_at": nullable(instant("A day, month or year begins at midnight in UTC, whatever the incident's zone.")),
    "started_precision": nullable(choice(Precision.values)),
    "duration_seconds": nullable(whole()),
    "patterns": array(text()),
    "suggested_patterns": array(text()),
    "source_urls": array(text()),
}

SHAPES: dict[str, Schema] = {
    "Problem": obj(
        {
            "type": text("urn:precedent:problem:<code>"),
            "title": text(),
            "status": whole(least=400, most=599),
            "detail": text(),
            "code": choice(CODES, "Stable: codes are added to, never renamed."),
            "errors": array(obj({"field": text(), "code": text(), "message": text()})),
            "current_version": whole(
                "With `stale`: the version that stands now, of the part that `errors` names if there are any.", least=1
            ),
            "missing": {
                "type": "object",
                "additionalProperties": text(),
                "description": "With `incomplete`: what publishing still needs, by section.",
            },
        },
        optional=["errors", "current_version", "missing"],
        description="RFC 9457.",
    ),
    "Anything": {"type": "object"},
    "Organization": obj(
        {
            "id": uuid(),
            "url": url(),
            "name": text(),
            "slug": text(),
            "website": nullable(text()),
            "sector": nullable(text()),
            "is_home": flag(),
            "incidents": whole("How many the caller can see, without archived ones."),
            "version": whole(least=1),
        }
    ),
    "OrganizationList": page(ref("Organization")),
    "OrganizationCreate": obj(
        {"name": text(most=120), "website": nullable(text()), "sector": nullable(text(most=40))},
        optional=["website", "sector"],
    ),
    "OrganizationChange": _change(
        {"name": text(most=120), "website": nullable(text()), "sector": nullable(text(most=40))}
    ),
    "Service": obj(
        {
            "id": uuid(),
            "url": url(),
            "name": text(),
            "slug": text(),
            "organization": obj({"name": text(), "slug": text()}),
            "team": _TEAM,
            "version": whole(least=1),
        }
    ),
    "ServiceList": page(ref("Service")),
    "ServiceCreate": obj(
        {
            "name": text(most=120),
            "organization": nullable(text("A slug; home unless named.")),
            "team": nullable(text("A slug.")),
        },
        optional=["organization", "team"],
    ),
    "ServiceChange": _change({"name": text(most=120), "team": nullable(text("A slug."))}),
    "Team": obj(
        {
            "id": uuid(),
            "url": url(),
            "name": text(),
            "slug": text(),
            "description": text(),
            "your_role": nullable(choice(Role.values)),
            "version": whole(least=1),
        }
    ),
    "TeamList": page(ref("Team")),
    "TeamCreate": obj({"name": text(most=80), "description": nullable(text(most=300))}, optional=["description"]),
    "TeamChange": _change({"name": text(most=80), "description": nullable(text(most=300))}),
    "Member": obj(
        {
            "id": whole(least=1),
            "url": url(),
            "name": text(),
            "email": text(),
            "role": choice(Role.values),
            "since": instant(),
        }
    ),
    "MemberList": page(ref("Member")),
    "MemberCreate": obj({"email": text("Of somebody who is here already."), "role": choice(Role.values)}),
    "MemberChange": obj({"role": choice(Role.values)}),
    "Template": obj(
        {
            "url": url(),
            "key": text(),
            "number": whole("Versions of a template never change; this one's number.", least=1),
            "name": text(),
            "team": _TEAM,
            "is_current": flag(),
            "created_at": instant(),
            "severities": {"type": "object", "additionalProperties": text()},
            "sections": array({"type": "object"}),
        }
    ),
    "TemplateList": page(ref("Template")),
    "TemplateCreate": obj(
        {
            "key": SCHEMA["properties"]["key"],
            "name": SCHEMA["properties"]["name"],
            "team": nullable(text("A slug. Without it the template is for everybody, and made by an admin.")),
            "severities": {"type": "object", "additionalProperties": text()},
            "sections": _ANY_SECTION,
        },
        optional=["team", "severities"],
    ),
    "TemplateReplace": obj(
        {
            "name": SCHEMA["properties"]["name"],
            "severities": {"type": "object", "additionalProperties": text()},
            "sections": _ANY_SECTION,
        },
        optional=["severities"],
    ),
    "Pattern": obj(
        {
            "url": url(),
            "slug": text("Never changes its meaning."),
            "name": text(),
            "family": choice(Family.values),
            "counts": text("What counts as this pattern."),
            "does_not_count": text(),
            "advice": text(),
            "status": choice(PatternStatus.values),
            "merged_into": nullable(text("The slug of the pattern that it is now, with its incidents.")),
            "incidents": whole("How many the caller can see, without archived ones."),
        }
    ),
    "PatternList": page(ref("Pattern")),
    "PatternStatistics": obj(
        {
            "slug": text(),
            "incidents": whole("How many the caller can see, without archived ones; everything here counts these."),
            "by_year": array(obj({"year": whole(), "incidents": whole()}), "From the first year to the last."),
            "with_unknown_year": whole(),
            "organizations": array(obj({"name": text(), "slug": text(), "incidents": whole()})),
            "together": array(
                obj(
                    {
                        "slug": text(),
                        "incidents": whole("That show both."),
                        "share": number("Of the incidents that show this pattern."),
                        "lift": number("That share over its share of all incidents; 1 is no connection."),
                    }
                ),
                "Patterns that come with it.",
            ),
            "mitigations": array(obj({"mitigation": choice(Mitigation.values), "incidents": whole()})),
            "with_unknown_mitigation": whole(),
            "rule_precision": obj(
                {
                    "confirmed": whole(),
                    "rejected": whole(),
                    "share": nullable(number("Of the decided tags of its rule, those that people confirmed.")),
                    "low": nullable(number("The 95% interval (Wilson).")),
                    "high": nullable(number()),
                }
            ),
        }
    ),
    "Tag": obj(
        {
            "url": url(),
            "slug": text("The pattern's."),
            "name": text(),
            "family": choice(Family.values),
            "state": choice(TagState.values, "Rejected ones are shown to those who decide."),
            "source": choice(TagSource.values),
            "rule_version": nullable(whole("Of the rule that found it.", least=1)),
            "score": nullable(number()),
            "reason": text("Why it was rejected."),
            "decided_by": nullable(
                text(
                    "A name; not for strangers. Of a suggested one: who rejected it before a later rule suggested it, "
                    "for those who decide."
                )
            ),
            "decided_at": nullable(instant("Told of a suggested one to those who decide.")),
            "evidence": array(
                obj(
                    {
                        "field": text("A path: title, sections.<key>, or <kind>/<row id>."),
                        "start": whole("In characters (code points) of the field's Markdown."),
                        "end": whole(),
                        "quote": text(),
                    }
                ),
                "The sentences that show it, as they stand in the text now.",
            ),
        }
    ),
    "TagList": page(ref("Tag")),
    "TagCreate": obj(
        {
            "slug": text("The pattern's."),
            "sentence": nullable(text("One of the text, copied as it stands there, that shows it.", most=2_000)),
        },
        optional=["sentence"],
    ),
    "TagReject": obj({"reason": text("It helps whoever writes the rule.", most=REASON_CHARACTERS)}),
    "SearchAnswer": obj(
        {
            "query": text(),
            "engine": text("elasticsearch, sqlite or postgresql."),
            "degraded": flag("The engine that should answer could not; results may rank differently."),
            "took_ms": whole(),
            "total": whole(),
            "results": array(ref("SearchResult")),
            "facets": obj({facet: array(obj({"value": text(), "count": whole()})) for facet in FACETS}),
            "next": nullable(url()),
            "corrections": array(
                obj({"found": text(), "suggestion": text(), "query": text("The whole query, corrected.")})
            ),
            "notices": array(text()),
        }
    ),
    "SearchResult": obj(
        {
            **_RESULT,
            "score": number(),
            "highlights": array(obj({"section": text(), "html": text("Escaped text in which only <mark> is markup.")})),
            "why": array(text()),
        }
    ),
    "Similar": obj({**_RESULT, "score": number(), "reasons": array(text("Something both share, to be checked."))}),
    "SimilarList": page(ref("Similar")),
    "Token": obj(
        {
            "id": uuid(),
            "url": url(),
            "name": text(),
            "scope": choice(Scope.values),
            "owner": text("Whose it is: an e-mail address."),
            "created_at": instant(),
            "expires_at": nullable(instant()),
            "last_used": nullable(instant("To the minute.")),
        }
    ),
    "TokenList": page(ref("Token")),
    "TokenCreate": obj(
        {
            "name": text("Where it is used.", most=80),
            "scope": choice(Scope.values, "read unless named."),
            "days": whole("Until it expires; 90 unless named.", least=1, most=MOST_DAYS),
            "owner": nullable(text("A service account's e-mail address; for admins.")),
        },
        optional=["scope", "days", "owner"],
    ),
    "Me": obj(
        {
            "id": whole(least=1),
            "name": text(),
            "email": text(),
            "time_zone": text(),
            "is_admin": flag(),
            "is_service_account": flag(),
            "teams": array(obj({"name": text(), "slug": text(), "role": choice(Role.values)})),
            "scope": choice(Scope.values, "What this caller may do: sessions may write, tokens as their scope says."),
        }
    ),
}
SHAPES["NewToken"] = obj(
    {**SHAPES["Token"]["properties"], "token": text("Shown this once. Keep it where secrets are kept.")}
)
