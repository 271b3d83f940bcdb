"""From draft to review to published, and back: submit, review, publish, reopen, archive, restore."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Max
from django.utils import timezone

from incidents import scopes
from incidents.actions.change import LEADS_ONLY, Change, changing
from incidents.document import build, read_parts, relation
from incidents.errors import Incomplete, Invalid, NotAllowed, WrongState
from incidents.models import AuditEntry, Incident, ReviewRequest, Revision, User
from incidents.scopes import Viewer
from incidents.template import plan
from incidents.text import clean, is_blank
from incidents.vocabulary import ReviewState, SectionKind, Status, Visibility

MISSING_PROSE = "{title} has no text yet"
MISSING_ROWS = "{title} has no entry yet; add one, or say why there is none"


def missing(incident: Incident) -> dict[str, str]:
    """What publishing still needs, by section key, in the words of the page."""
    sections = {section.key: section for section in incident.sections.all()}
    out: dict[str, str] = {}
    for planned in plan(incident.template):
        if not planned.required:
            continue
        section = sections.get(planned.key)
        if planned.kind is SectionKind.PROSE:
            if section is None or is_blank(section.body):
                out[planned.key] = MISSING_PROSE.format(title=planned.title)
        elif not getattr(incident, relation(planned.records or planned.key)).all() and (
            section is None or is_blank(section.none_reason)
        ):
            out[planned.key] = MISSING_ROWS.format(title=planned.title)
    return out


def submit(
    *, actor: Viewer, incident_id: int, reviewers: Sequence[str], expected_version: int | None = None
) -> Incident:
    """Ask people, by e-mail address, to review: a new round. Whoever decided before and is named again decides anew,
    and what they said before stays; who is not named is asked no more."""
    with changing(actor, incident_id, expected_version=expected_version) as change:
        found = _reviewers(actor, reviewers)
        _end_round(change)
        ReviewRequest.objects.bulk_create(
            ReviewRequest(incident=change.incident, reviewer=user, asked_by_id=actor.person) for user in found
        )
        change.incident.status = Status.IN_REVIEW
        change.did("incident.submitted", reviewers=[user.pk for user in found])
    return change.incident


def withdraw(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Back to draft, before anybody decided."""
    with changing(actor, incident_id, expected_version=expected_version, states=(Status.IN_REVIEW,)) as change:
        change.incident.status = Status.DRAFT
        _end_round(change)
        change.did("incident.withdrawn")
    return change.incident


def review(
    *, actor: Viewer, incident_id: int, approve: bool, comment: str = "", expected_version: int | None = None
) -> Incident:
    """An asked reviewer approves or asks for changes; the latter needs a comment and brings it back to draft."""
    comment = clean("comment", comment, max_characters=20_000)
    if not approve and not comment:
        raise Invalid({"comment": "Say what should change."})
    with changing(
        actor,
        incident_id,
        permission=_was_asked,
        refusal="Only those who were asked to review this can do this.",
        expected_version=expected_version,
        states=(Status.IN_REVIEW,),
    ) as change:
        request = change.incident.reviews.filter(reviewer_id=actor.user_id, ended_at__isnull=True).first()
        if request is None:
            raise NotAllowed("This was sent to review anew meanwhile, and you are not asked any more.")
        if approve and _wrote_in_this_round(change.incident, actor.person):
            raise NotAllowed("You changed this text while it was in review, so somebody else approves it.")
        request.state = ReviewState.APPROVED if approve else ReviewState.CHANGES_REQUESTED
        request.comment, request.decided_at = comment, timezone.now()
        request.approved_version = change.incident.version if approve else None
        request.save()
        # An approval changes nothing in the text, so it must not make the version it approves an old one.
        change.counts_as_edit = not approve
        if not approve:
            change.incident.status = Status.DRAFT
        change.did("incident.reviewed", decision=request.state)
    return change.incident


def publish(*, actor: Viewer, incident_id: int, note: str = "", expected_version: int | None = None) -> Revision:
    """Write an immutable revision and show it. Needs an approval of its present text, or a lead.

    Raises Incomplete with what is missing, NotAllowed without an approval.
    """
    note = clean("note", note, max_characters=500, single_line=True)
    with changing(actor, incident_id, expected_version=expected_version) as change:
        if not scopes.may_lead(actor, change.incident) and not _is_approved(change.incident):
            raise NotAllowed("Publishing needs an approval: send it to review, or ask a team lead to publish it.")
        return write_revision(change, note)


def write_revision(change: Change, note: str) -> Revision:
    """The working copy as the next revision of an incident that is being changed. Raises Incomplete."""
    incident = change.incident
    read_parts(incident)
    if lacking := missing(incident):
        raise Incomplete(lacking)
    incident.status = Status.PUBLISHED
    # Not saved before: a row written twice makes its commit wait for its organization, which somebody who renames that
    # holds while waiting for this row.
    document = build(incident)
    last = incident.revisions.aggregate(number=Max("number"))["number"]
    revision = Revision.objects.create(
        incident=incident,
        number=(last or 0) + 1,
        document=document,
        note=note,
        published_by_id=change.actor.person,
    )
    incident.published_revision = revision
    incident.published_organization = incident.organization
    incident.published_services.set(incident.services.all())
    _end_round(change)
    # The index still holds the text before, with names that may have left it.
    change.narrows = True
    change.did("incident.published", revision, number=revision.number)
    return revision


def reopen(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Back to draft for those who write it; everybody else keeps the published revision."""
    with changing(actor, incident_id, expected_version=expected_version, states=(Status.PUBLISHED,)) as change:
        back_to_draft(change)
    return change.incident


def back_to_draft(change: Change) -> None:
    """Reopen what is published, of an incident that is being changed."""
    change.incident.status = Status.DRAFT
    change.did("incident.reopened")


def archive(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Out of lists and default search, still readable by who could read it."""
    with changing(
        actor,
        incident_id,
        permission=scopes.may_lead,
        refusal=LEADS_ONLY,
        expected_version=expected_version,
        states=(Status.PUBLISHED,),
    ) as change:
        change.incident.status = Status.ARCHIVED
        change.did("incident.archived")
    return change.incident


def restore(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """From the archive back to published."""
    with changing(
        actor,
        incident_id,
        permission=scopes.may_lead,
        refusal=LEADS_ONLY,
        expected_version=expected_version,
        states=(Status.ARCHIVED,),
    ) as change:
        change.incident.status = Status.PUBLISHED
        change.did("incident.restored")
    return change.incident


def _end_round(change: Change) -> None:
    """Whom nobody is asking any more sees later drafts no more, and approves none. What they said is kept."""
    round_now = change.incident.reviews.filter(ended_at__isnull=True)
    if round_now.exists():
        round_now.filter(state=ReviewState.ASKED).delete()
        round_now.update(ended_at=timezone.now())
    if not change.incident.stands_published or change.incident.visibility == Visibility.TEAM:
        # The index may still hold who was asked.
        change.narrows = True


def _wrote_in_this_round(incident: Incident, user_id: int) -> bool:
    entries = AuditEntry.objects.filter(incident=incident)
    submitted = entries.filter(action="incident.submitted").aggregate(last=Max("pk"))["last"] or 0
    later = entries.filter(pk__gt=submitted, actor_id=user_id)
    # What somebody says about its patterns is no part of the text.
    return later.exclude(action="incident.reviewed").exclude(object_type="tag").exists()


def _was_asked(viewer: Viewer, incident: Incident) -> bool:
    return incident.pk in viewer.asked_to_review


def _is_approved(incident: Incident) -> bool:
    if incident.status != Status.IN_REVIEW:
        raise WrongState("Send it to review first, or ask a team lead to publish it.")
    approvals = incident.reviews.filter(state=ReviewState.APPROVED, ended_at__isnull=True)
    return approvals.filter(approved_version=incident.version).exists()


def _reviewers(actor: Viewer, addresses: Sequence[str]) -> list[User]:
    if not addresses:
        raise Invalid({"reviewers": "Name at least one reviewer."})
    found: dict[int, User] = {}
    unknown: dict[str, str] = {}
    for place, address in enumerate(addresses):
        user = User.objects.filter(
            email__iexact=clean(f"reviewers.{place}", address, max_characters=254),
            is_active=True,
            is_system=False,
            is_service_account=False,
        ).first()
        if user is None:
            unknown[f"reviewers.{place}"] = f"Nobody here has the address {address}."
        else:
            found[user.pk] = user
    if unknown:
        raise Invalid(unknown)
    if actor.user_id in found:
        raise Invalid({"reviewers": "Somebody else should review it."})
    return list(found.values())
