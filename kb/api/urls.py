"""The URLs of the API, without trailing slashes. Each has a row in the permission matrix of tests/api."""

from __future__ import annotations

from django.urls import path, re_path, register_converter

from incidents.records import KINDS
from kb.api.converters import Identity, Name, Number, Reference
from kb.api.views import findings, history, incidents, knowledge, meta, organizations, parts, people

register_converter(Reference, "ref")
register_converter(Identity, "id")
register_converter(Name, "name")
register_converter(Number, "number")

app_name = "api"
urlpatterns = [
    path("incidents", incidents.Incidents.as_view(), name="incidents"),
    path("incidents/<ref:ref>", incidents.OneIncident.as_view(), name="incident"),
    *(
        path(f"incidents/<ref:ref>/{step.step}", step.as_view(), name=f"incident-{step.step}")
        for step in incidents.STEPS
    ),
    path("incidents/<ref:ref>/sections", parts.Sections.as_view(), name="incident-sections"),
    path("incidents/<ref:ref>/sections/<name:key>", parts.Section.as_view(), name="incident-section"),
    *(path(f"incidents/<ref:ref>/{kind}", parts.Rows.as_view(kind=kind), name=f"incident-{kind}") for kind in KINDS),
    *(
        path(f"incidents/<ref:ref>/{kind}/<id:row_id>", parts.Row.as_view(kind=kind), name=f"incident-{kind}-row")
        for kind in KINDS
    ),
    path("incidents/<ref:ref>/links", parts.Links.as_view(), name="incident-links"),
    path("incidents/<ref:ref>/links/<id:link_id>", parts.Link.as_view(), name="incident-link"),
    path("incidents/<ref:ref>/revisions", history.Revisions.as_view(), name="incident-revisions"),
    path("incidents/<ref:ref>/revisions/<number:number>", history.OneRevision.as_view(), name="incident-revision"),
    path("incidents/<ref:ref>/reviews", history.Reviews.as_view(), name="incident-reviews"),
    path("incidents/<ref:ref>/audit", history.Audit.as_view(), name="incident-audit"),
    path("incidents/<ref:ref>/export", history.Export.as_view(), name="incident-export"),
    path("incidents/<ref:ref>/patterns", findings.Tags.as_view(), name="incident-patterns"),
    path("incidents/<ref:ref>/patterns/<name:slug>", findings.OneTag.as_view(), name="incident-pattern"),
    *(
        path(
            f"incidents/<ref:ref>/patterns/<name:slug>/{decision}",
            view.as_view(),
            name=f"incident-pattern-{decision}",
        )
        for decision, view in findings.DECISIONS.items()
    ),
    path("incidents/<ref:ref>/similar", findings.Similar.as_view(), name="incident-similar"),
    path("organizations", organizations.Organizations.as_view(), name="organizations"),
    path("organizations/<name:slug>", organizations.OneOrganization.as_view(), name="organization"),
    path("services", organizations.Services.as_view(), name="services"),
    path("services/<id:service_id>", organizations.OneService.as_view(), name="service"),
    path("teams", organizations.Teams.as_view(), name="teams"),
    path("teams/<name:slug>", organizations.OneTeam.as_view(), name="team"),
    path("teams/<name:slug>/members", organizations.Members.as_view(), name="members"),
    path("teams/<name:slug>/members/<number:user_id>", organizations.Member.as_view(), name="member"),
    path("templates", knowledge.Templates.as_view(), name="templates"),
    path("templates/<name:key>", knowledge.Template.as_view(), name="template"),
    path("templates/<name:key>/<number:number>", knowledge.TemplateVersion.as_view(), name="template-version"),
    path("patterns", knowledge.Patterns.as_view(), name="patterns"),
    path("patterns/<name:slug>", knowledge.OnePattern.as_view(), name="pattern"),
    path("patterns/<name:slug>/statistics", knowledge.PatternStatistics.as_view(), name="pattern-statistics"),
    path("search", knowledge.Search.as_view(), name="search"),
    path("tokens", people.Tokens.as_view(), name="tokens"),
    path("tokens/<id:token_id>", people.Token.as_view(), name="token"),
    path("me", people.Me.as_view(), name="me"),
    path("schema", meta.Schema.as_view(), name="schema"),
    path("docs", meta.Docs.as_view(), name="docs"),
    re_path("^", meta.UnknownUrl.as_view(), name="nowhere"),
]
