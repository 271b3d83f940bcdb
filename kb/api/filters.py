"""Filters of lists, built on django-filter. Each filter is also a query parameter in the OpenAPI document."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from incidents import scopes
from incidents.durations import Moment, read_moment
from incidents.errors import Invalid
from incidents.models import Incident, Service, Team
from incidents.scopes import Viewer
from incidents.text import is_blank
from incidents.vocabulary import Origin, Severity, Status, Visibility
from kb.api.pagination import Order, by_instant
from kb.api.parameters import Parameter
from kb.api.shapes.parts import choice, text
from kb.api.visible_incidents import VisibleIncidents
from kb.search.names import unknown_values

UNKNOWN = "unknown"
_BY_NAME = "Slug or name of the {}. Upper and lower case make no difference."
BY_ORGANIZATION = _BY_NAME.format("organization")
_LONG_AGO, _FAR_AHEAD = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
SORTS = ("-created", "created", "-started", "started")


class _Words(forms.MultipleChoiceField):
    """Any texts that are not blank; the parameter can be repeated."""

    widget = forms.MultipleHiddenInput

    def validate(self, value: Any) -> None:
        if any(map(is_blank, value)):
            raise forms.ValidationError("Enter a slug or a name.")


class Words(django_filters.Filter):
    field_class = _Words


class Choices(django_filters.MultipleChoiceFilter):
    def __init__(self, values: list[str], **kwargs: Any) -> None:
        super().__init__(choices=[(value, value) for value in values], distinct=False, **kwargs)
        self.extra["error_messages"] = {"invalid_choice": f"Choose one of {', '.join(values)}."}


class _ChoiceField(forms.ChoiceField):
    """One of the choices if the parameter is there at all: an empty one is no choice."""

    def clean(self, value: Any) -> Any:
        if value == "":
            raise forms.ValidationError(self.error_messages["invalid_choice"])
        return super().clean(value)


class Choice(django_filters.ChoiceFilter):
    field_class = _ChoiceField


class _MomentField(forms.CharField):
    def clean(self, value: Any) -> Moment | None:
        if value is None:
            return None
        if is_blank(value):
            raise forms.ValidationError("Enter a time such as 2026-03-31T14:05Z, 2026-03-31, 2026-03 or 2026.")
        # In a URL, a + that is not escaped stands for a space.
        written = re.sub(r"(T[0-9:.]+) ([0-9:]+)$", r"\1+\2", value)
        try:
            return read_moment("moment", written)
        except Invalid as error:
            raise forms.ValidationError(error.fields["moment"]) from error


class MomentFilter(django_filters.Filter):
    field_class = _MomentField


def parameters(filters: type[django_filters.FilterSet]) -> tuple[Parameter, ...]:
    """The query parameters of a filter set."""
    out = []
    for name, one in filters.base_filters.items():
        match one:
            case Choices():
                out.append(Parameter(name, one.label, choice(value for value, _ in one.extra["choices"]), many=True))
            case Words():
                out.append(Parameter(name, one.label, text(), many=True))
            case django_filters.ChoiceFilter():
                out.append(Parameter(name, one.label, choice(value for value, _ in one.extra["choices"])))
            case _:
                out.append(Parameter(name, one.label))
    return tuple(out)


def filtered(filters: django_filters.FilterSet) -> QuerySet[Any]:
    """The filtered rows. Raises Invalid, naming the parameters that cannot be read."""
    if not filters.is_valid():
        raise Invalid({name: [str(text) for text in texts] for name, texts in filters.errors.items()})
    return filters.qs


def notices(query: QueryDict, viewer: Viewer, found: list[Any]) -> list[str]:
    """If nothing was found: which names in the filters are unknown to the viewer, and what may have been meant."""
    return [] if found else list(unknown_values(dict(query.lists()), viewer))


class IncidentFilter(django_filters.FilterSet):
    """Archived incidents are included only if `status` asks for them."""

    origin = Choices(Origin.values, label="Where the incident comes from: written here, a famous outage, or imported.")
    status = Choices(Status.values, label="By default, all but archived ones.", method="by_status")
    severity = Choices(
        [*Severity.values, UNKNOWN], label="`unknown` matches incidents without a severity.", method="by_severity"
    )
    organization = Words(label=BY_ORGANIZATION, method="by_organization")
    team = Words(label=_BY_NAME.format("owning team"), method="by_team")
    service = Words(
        label="Slug or name of an affected service. Upper and lower case make no difference.", method="by_service"
    )
    visibility = Choices(Visibility.values, label="Who can read the incident once it is published.")
    started_after = MomentFilter(
        label="Started at or after this time: 2026-03-31T14:05Z, 2026-03-31, 2026-03 or 2026. "
        "A day, month or year counts as published, in any time zone.",
        method="by_start",
    )
    started_before = MomentFilter(label="Started before this time.", method="by_start")
    sort = Choice(
        choices=[(value, value) for value in SORTS],
        label="`-created` (newest first) by default; a leading `-` means descending. Unknown starts come last.",
        method="ignored",
        error_messages={"invalid_choice": f"Choose one of {', '.join(SORTS)}."},
    )

    class Meta:
        model = Incident
        fields: list[str] = []

    def __init__(self, data: QueryDict, visible: VisibleIncidents) -> None:
        if not data.getlist("status"):
            data = data.copy()
            data.setlist("status", [value for value in Status.values if value != Status.ARCHIVED])
        super().__init__(data, visible.incidents)
        self.visible = visible

    def by_status(self, rows: QuerySet[Incident], name: str, value: list[str]) -> QuerySet[Incident]:
        return rows.filter(self.visible.status_is_any(value))

    def by_severity(self, rows: QuerySet[Incident], name: str, value: list[str]) -> QuerySet[Incident]:
        condition = Q(severity__in=value)
        if UNKNOWN in value:
            condition |= Q(severity__isnull=True)
        return rows.filter(self.visible.where(condition, lambda facts: (facts["severity"] or UNKNOWN) in value))

    def by_organization(self, rows: QuerySet[Incident], name: str, value: list[str]) -> QuerySet[Incident]:
        return rows.filter(scopes.organization_condition(self.visible.viewer, Q(pk__in=_organizations(value))))

    def by_team(self, rows: QuerySet[Incident], name: str, value: list[str]) -> QuerySet[Incident]:
        return rows.filter(team__in=_teams(self.visible.viewer, value))

    def by_service(self, rows: QuerySet[Incident], name: str, value: list[str]) -> QuerySet[Incident]:
        return rows.filter(scopes.service_condition(self.visible.viewer, scopes.name_condition(value)))

    def by_start(self, rows: QuerySet[Incident], name: str, value: Moment) -> QuerySet[Incident]:
        return rows.filter(self.visible.started("gte" if name == "started_after" else "lt", value.at))

    def ignored(self, rows: QuerySet[Incident], name: str, value: str) -> QuerySet[Incident]:
        """Sorting is left to pagination; see `ordered`."""
        return rows

    def ordered(self) -> tuple[QuerySet[Incident], Order]:
        """The filtered rows, and the requested order."""
        rows = filtered(self)
        sort = self.form.cleaned_data["sort"] or SORTS[0]
        descending = sort.startswith("-")
        if sort.removeprefix("-") == "created":
            return rows, Order(descending=descending)
        default = _LONG_AGO if descending else _FAR_AHEAD
        return rows.annotate(visible_start=self.visible.started_at(default)), by_instant(
            "visible_start", descending=descending
        )


def _organizations(value: list[str]) -> list[int]:
    return [one.pk for organizations in scopes.organizations_by_name(value).values() for one in organizations]


def _teams(viewer: Viewer, value: list[str]) -> QuerySet[Team]:
    return scopes.visible_teams(viewer).filter(scopes.name_condition(value))


class ServiceFilter(django_filters.FilterSet):
    organization = Words(label=BY_ORGANIZATION, method="by_organization")
    team = Words(label=_BY_NAME.format("team that the service belongs to"), method="by_team")

    class Meta:
        model: type[Model] = Service
        fields: list[str] = []

    def __init__(self, data: QueryDict, viewer: Viewer) -> None:
        super().__init__(data, scopes.visible_services(viewer))
        self.viewer = viewer

    def by_organization(self, rows: QuerySet[Service], name: str, value: list[str]) -> QuerySet[Service]:
        return rows.filter(organization__in=_organizations(value))

    def by_team(self, rows: QuerySet[Service], name: str, value: list[str]) -> QuerySet[Service]:
        return rows.filter(team__in=_teams(self.viewer, value))
