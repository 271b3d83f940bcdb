"""Shapes of everything around incidents: organizations, services, teams, templates, patterns, search, tokens, the
caller, and problem documents."""

from __future__ import annotations

from incidents.template import MOST_SECTIONS, SCHEMA
from incidents.vocabulary import Family, Mitigation, Origin, Precision, Role, SectionKind, Severity, Visibility
from kb.api.models import Scope
from kb.api.problems import CODES
from kb.api.shapes.incidents import EXTERNAL_ID, FOUND, MEANINGS, NOTICES, REF, SELF, STATUS
from kb.api.shapes.parts import (
    Schema,
    array,
    choice,
    described,
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
from kb.api.tokens import DEFAULT_DAYS, MOST_DAYS
from kb.patterns.decisions import REASON_CHARACTERS
from kb.patterns.models import PatternStatus, TagSource, TagState
from kb.search.engine import FACETS

_TEAM = nullable(ref("TeamName"))
_DEFINITION: dict[str, Schema] = SCHEMA["properties"]
_SECTION: dict[str, Schema] = _DEFINITION["sections"]["items"]["properties"]
_SECTIONS = array(ref("TemplateSection"), "At least those that are required to publish.", most=MOST_SECTIONS)
_SEVERITIES = ref("SeverityMeanings", "What each severity means here.")


_ROLES = (
    "Readers see the team's drafts. Authors also write them. Leads also publish without a review, archive, delete, and "
    "manage the team."
)


def _change(fields: dict[str, Schema]) -> Schema:
    return obj(fields, optional=fields)


_RESULT: dict[str, Schema] = {
    "ref": REF,
    "id": uuid(),
    "external_id": EXTERNAL_ID,
    "title": text(),
    "url": SELF,
    "organization": text("The organization's name."),
    "origin": choice(Origin.values),
    "severity": nullable(choice(Severity.values, MEANINGS["severity"])),
    "status": STATUS,
    "visibility": choice(Visibility.values),
    "started_at": nullable(
        instant("When the impact began. A day, month or year is given as its midnight in UTC, whatever the time zone.")
    ),
    "started_precision": nullable(choice(Precision.values, "How precise `started_at` is.")),
    "duration_seconds": nullable(whole("null when unknown.")),
    "patterns": FOUND["patterns"],
    "suggested_patterns": FOUND["suggested_patterns"],
    "source_urls": array(text(), "URLs of the incident's sources."),
}

SHAPES: dict[str, Schema] = {
    "Problem": obj(
        {
            "type": text("urn:precedent:problem:<code>"),
            "title": text("What kind of problem this is; the same for every problem with this code."),
            "status": whole("The HTTP status.", least=400, most=599),
            "detail": text("What went wrong with this request, and what to do about it. For people to read."),
            "code": choice(
                CODES, "Identifies the kind of problem. New codes can be added; existing ones never change."
            ),
            "errors": array(
                obj(
                    {"field": text("A path such as causes.0.text, or a parameter."), "code": text(), "message": text()}
                ),
                "The fields, parameters or headers that have to be corrected.",
            ),
            "current_version": whole(
                "With `stale`: the current version, of the part that `errors` names if there is one.", least=1
            ),
            "missing": {
                "type": "object",
                "additionalProperties": text(),
                "description": "With `incomplete`: what is still needed before publishing, by section key.",
            },
        },
        optional=["errors", "current_version", "missing"],
        description="A problem document (RFC 9457).",
    ),
    "Anything": {"type": "object"},
    "Organization": obj(
        {
            "id": uuid(),
            "url": SELF,
            "name": text(),
            "slug": text(),
            "website": nullable(text()),
            "sector": nullable(text()),
            "is_home": flag("Whether this is the organization that runs this installation."),
            "incidents": whole("Incidents about it that the caller can see, without archived ones."),
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
            "url": SELF,
            "name": text(),
            "slug": text(),
            "organization": ref("OrganizationName"),
            "team": _TEAM,
            "version": whole(least=1),
        }
    ),
    "ServiceList": page(ref("Service"), notices=NOTICES),
    "ServiceCreate": obj(
        {
            "name": text(most=120),
            "organization": nullable(text("The organization's slug; the home organization by default.")),
            "team": nullable(text("The slug of the team that runs the service.")),
        },
        optional=["organization", "team"],
    ),
    "ServiceChange": _change(
        {"name": text(most=120), "team": nullable(text("The slug of the team that runs the service."))}
    ),
    "Team": obj(
        {
            "id": uuid(),
            "url": SELF,
            "name": text(),
            "slug": text(),
            "description": text(),
            "your_role": nullable(choice(Role.values, "The caller's role in the team; null if not a member.")),
            "version": whole(least=1),
        }
    ),
    "TeamList": page(ref("Team")),
    "TeamCreate": obj({"name": text(most=80), "description": nullable(text(most=300))}, optional=["description"]),
    "TeamChange": _change({"name": text(most=80), "description": nullable(text(most=300))}),
    "Member": obj(
        {
            "id": whole("The user's id.", least=1),
            "url": SELF,
            "name": text(),
            "email": text(),
            "role": choice(Role.values, _ROLES),
            "since": instant("When they joined the team."),
        }
    ),
    "MemberList": page(ref("Member")),
    "MemberCreate": obj(
        {"email": text("The e-mail address of an existing user."), "role": choice(Role.values, _ROLES)}
    ),
    "MemberChange": obj({"role": choice(Role.values, _ROLES)}),
    "Template": obj(
        {
            "url": SELF,
            "key": text(),
            "number": whole("The version of the template. A version never changes once it is saved.", least=1),
            "name": text(),
            "team": described(_TEAM, "The team that the template belongs to; null if everyone can use it."),
            "is_current": flag("Whether this is the latest version, which new postmortems use."),
            "created_at": instant(),
            "severities": _SEVERITIES,
            "sections": _SECTIONS,
        }
    ),
    "TemplateSection": obj(
        {
            **_SECTION,
            "kind": choice(SectionKind.values, "`prose` has a body; `records` has rows."),
            "records": choice(_SECTION["records"]["enum"], "The kind of rows of a section of records: its own key."),
        },
        optional=["records", "required", "guidance"],
    ),
    "SeverityMeanings": obj({severity: text(most=300) for severity in Severity.values}, optional=Severity.values),
    "TemplateList": page(ref("Template")),
    "TemplateCreate": obj(
        {
            "key": _DEFINITION["key"],
            "name": _DEFINITION["name"],
            "team": nullable(
                text("The slug of the team that the template belongs to. Only admins can leave it out, for everyone.")
            ),
            "severities": _SEVERITIES,
            "sections": _SECTIONS,
        },
        optional=["team", "severities"],
    ),
    "TemplateReplace": obj(
        {
            "name": _DEFINITION["name"],
            "severities": _SEVERITIES,
            "sections": _SECTIONS,
        },
        optional=["severities"],
    ),
    "Pattern": obj(
        {
            "url": SELF,
            "slug": text("Stable: a slug never changes its meaning."),
            "name": text(),
            "family": choice(Family.values),
            "counts": text("What counts as this pattern."),
            "does_not_count": text("What looks similar but does not count."),
            "advice": text("How to avoid the failure or limit its impact."),
            "status": choice(PatternStatus.values, "Only active patterns are tagged on incidents."),
            "merged_into": nullable(text("The slug of the pattern that took over its incidents; null unless merged.")),
            "incidents": whole("Incidents showing it that the caller can see, without archived ones."),
        }
    ),
    "PatternList": page(ref("Pattern")),
    "PatternStatistics": obj(
        {
            "slug": text(),
            "incidents": whole(
                "Incidents showing the pattern that the caller can see, without archived ones. All other counts are of "
                "these."
            ),
            "by_year": array(
                obj({"year": whole(), "incidents": whole()}),
                "Incidents by the year they started, without gaps from the first year to the last.",
            ),
            "with_unknown_year": whole("Incidents whose start is unknown."),
            "organizations": array(
                obj({"name": text(), "slug": text(), "incidents": whole()}), "The most affected organization first."
            ),
            "together": array(
                obj(
                    {
                        "slug": text("The other pattern."),
                        "incidents": whole("Incidents that show both patterns."),
                        "share": number("These as a share of the incidents that show this pattern, from 0 to 1."),
                        "lift": number(
                            "This share divided by the other pattern's share of all incidents. 1 means no connection."
                        ),
                    }
                ),
                "Patterns that occur in the same incidents, the most frequent first.",
            ),
            "mitigations": array(
                obj({"mitigation": choice(Mitigation.values), "incidents": whole()}),
                "What stopped the impact, the most frequent first. An incident can name several.",
            ),
            "with_unknown_mitigation": whole("Incidents that name no mitigation."),
            "rule_precision": obj(
                {
                    "confirmed": whole("Tags that people confirmed."),
                    "rejected": whole("Tags that people rejected."),
                    "share": nullable(number("The share that people confirmed, from 0 to 1.")),
                    "low": nullable(number("Lower end of the 95% confidence interval (Wilson).")),
                    "high": nullable(number("Upper end of that interval.")),
                },
                description="How often people agreed with the pattern's rule. "
                "The share and its interval are null until the first decision.",
            ),
        }
    ),
    "Tag": obj(
        {
            "url": SELF,
            "slug": text("The pattern's slug."),
            "name": text("The pattern's name."),
            "family": choice(Family.values),
            "state": choice(
                TagState.values,
                "Rejected tags are visible only to callers who can decide about the incident's patterns.",
            ),
            "source": choice(TagSource.values, "Who or what added the tag."),
            "rule_version": nullable(whole("Version of the rule that found the pattern.", least=1)),
            "score": nullable(number("How strongly the rule matched.")),
            "reason": text("Why the tag was rejected. Empty in any other state."),
            "decided_by": nullable(
                text(
                    "The name of the user who decided; null for anonymous callers. On a suggested tag: who rejected it "
                    "before a later rule suggested it again, visible only to callers who can decide."
                )
            ),
            "decided_at": nullable(
                instant("When that was decided. On a suggested tag, visible only to callers who can decide.")
            ),
            "evidence": array(
                obj(
                    {
                        "field": text("Where the sentence is: title, sections.<key>, or <kind>/<row id>."),
                        "start": whole("Offset in the field's Markdown, in Unicode code points."),
                        "end": whole("Offset of the end, exclusive."),
                        "quote": text(),
                    }
                ),
                "The sentences that show the pattern, as found in the current text.",
            ),
        }
    ),
    "TagList": page(ref("Tag")),
    "TagCreate": obj(
        {
            "slug": text("The pattern's slug."),
            "sentence": nullable(
                text("A sentence that shows the pattern, copied exactly from the incident's text.", most=2_000)
            ),
        },
        optional=["sentence"],
    ),
    "TagReject": obj(
        {
            "reason": text(
                "Why the incident does not show the pattern. It helps to improve the rule.", most=REASON_CHARACTERS
            )
        }
    ),
    "SearchAnswer": obj(
        {
            "query": text("The query as it was sent."),
            "engine": text("The engine that answered: elasticsearch, sqlite or postgresql."),
            "degraded": flag(
                "Whether the database answered because Elasticsearch was unavailable. Results may rank differently."
            ),
            "took_ms": whole("How long the search took, in milliseconds."),
            "total": whole("How many incidents match, over all pages."),
            "results": array(ref("SearchResult")),
            "facets": obj(
                {facet: array(ref("FacetValue")) for facet in FACETS},
                description="How many matches each value has. The counts of a facet ignore its own filter.",
            ),
            "next": nullable(url("URL of the next page; null on the last page.")),
            "corrections": array(
                obj(
                    {
                        "found": text(
                            "A filter with an unknown field or name, a word that no incident contains, or words that "
                            "are the name of a pattern."
                        ),
                        "suggestion": text("The filter or word that may have been meant."),
                        "query": text("The whole query with this correction."),
                        "reason": text("What is wrong, as a sentence."),
                    }
                ),
                "Suggested corrections of the query.",
            ),
            "notices": array(text(), "Notes on how the query was interpreted, and on unknown names in the filters."),
        }
    ),
    "FacetValue": obj({"value": text(), "count": whole()}),
    "SearchResult": obj(
        {
            **_RESULT,
            "score": number("Orders the results of one response. Scores of different queries cannot be compared."),
            "highlights": array(
                obj(
                    {
                        "section": text("Where the words were found, such as title or summary."),
                        "html": text("Escaped text; the only markup in it is <mark>."),
                    }
                )
            ),
            "why": array(text(), "Reasons why the incident matches."),
        }
    ),
    "Similar": obj(
        {
            **_RESULT,
            "score": number("Orders the results of one response."),
            "reasons": array(text(), "What the two incidents have in common."),
        }
    ),
    "SimilarList": page(ref("Similar")),
    "Token": obj(
        {
            "id": uuid(),
            "url": SELF,
            "name": text(),
            "scope": choice(Scope.values),
            "owner": text("The e-mail address of the user or service account that the token belongs to."),
            "created_at": instant(),
            "expires_at": nullable(instant()),
            "last_used": nullable(instant("When it was last used, to within a minute; null if never.")),
        }
    ),
    "TokenList": page(ref("Token")),
    "TokenCreate": obj(
        {
            "name": text("What the token is used for, such as the name of a tool.", most=80),
            "scope": choice(Scope.values, "`write` includes reading. The default is `read`."),
            "days": whole(f"Days until the token expires; {DEFAULT_DAYS} by default.", least=1, most=MOST_DAYS),
            "owner": nullable(text("Admins only: the e-mail address of the service account that the token is for.")),
        },
        optional=["scope", "days", "owner"],
    ),
    "Me": obj(
        {
            "id": whole(least=1),
            "name": text(),
            "email": text(),
            "time_zone": text("An IANA name."),
            "is_admin": flag(),
            "is_service_account": flag(),
            "teams": array(obj({"name": text(), "slug": text(), "role": choice(Role.values, _ROLES)})),
            "scope": choice(
                Scope.values, "What this request's credentials allow: a token's scope, or write for a session."
            ),
        }
    ),
}
SHAPES["NewToken"] = obj(
    {
        **SHAPES["Token"]["properties"],
        "token": text("The token itself. It is shown only this once; store it as a secret."),
    }
)
