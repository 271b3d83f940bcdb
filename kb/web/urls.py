"""URLs of the pages. Those of writing/ and people/ come first, so that /incidents/new is not read as a reference."""

from __future__ import annotations

from django.urls import include, path

from kb.web import browse, home, patterns
from kb.web.incident import similar, tag_decisions
from kb.web.incident import views as incident
from kb.web.search import views as search

app_name = "web"
urlpatterns = [
    path("", include("kb.web.writing.urls")),
    path("", include("kb.web.people.urls")),
    path("", home.home, name="home"),
    path("search", search.search_page, name="search"),
    path("search/saved/<uuid:saved_id>/forget", search.forget, name="forget-search"),
    path("incidents", search.incidents, name="incidents"),
    path("incidents/<str:reference>", incident.incident, name="incident"),
    path("incidents/<str:reference>/similar", similar.similar_to, name="similar"),
    path("incidents/<str:reference>/patterns", tag_decisions.add, name="add-pattern"),
    path("incidents/<str:reference>/patterns/<slug:slug>/confirm", tag_decisions.confirm, name="confirm-pattern"),
    path("incidents/<str:reference>/patterns/<slug:slug>/reject", tag_decisions.reject, name="reject-pattern"),
    path("incidents/<str:reference>/patterns/<slug:slug>/undo", tag_decisions.undo, name="undo-pattern"),
    path("outages", browse.outages, name="outages"),
    path("organizations", browse.organizations, name="organizations"),
    path("organizations/<slug:slug>", browse.organization, name="organization"),
    path("patterns", patterns.patterns, name="patterns"),
    path("patterns/<slug:slug>", patterns.pattern, name="pattern"),
    path("patterns/<slug:slug>/trend.svg", patterns.trend, name="pattern-trend"),
]
