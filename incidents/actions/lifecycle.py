"""From draft to review to published, and back: submit, review, publish, reopen, archive, restore."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Max
from django.utils import timezone

from incidents import scopes
from incidents.actions.change import LEADS_ONLY, Change, changing
from incidents.document import build, prefetch_parts, relation
from incidents.errors import Incomplete, Invalid, NotAllowed, WrongState
from incidents.models import AuditEntry, Incident, ReviewRequest, Revision, User
from incidents.scopes import Viewer
from incidents.template import section_plans
from incidents.text import clean, is_blank
from incidents.vocabulary import ReviewState, SectionKind, Status, Visibility

MISSING_PROSE = "{title}: no text yet"
MISSING_ROWS = "{title}: no entries yet (add one, or say why there are none)"
OWN_CHANGES = "You changed this text during the review, so someone else has to approve it."


def missing(incident: Incident) -> dict[str, str]:
    """What publishing still needs, as {section key: message}."""
    sections = {section.key: section for section in incident.sections.all()}
    out: dict[str, str] = {}
    for planned in section_plans(incident.template):
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
    """Start a new round of review by these people, given by e-mail address. Earlier decisions are kept, but reviewers
    who are named again must decide again, and those who are not named are no longer reviewers."""
    with changing(actor, incident_id, expected_version=expected_version) as change:
        found = _reviewers(actor, reviewers)
        _end_review_round(change)
        ReviewRequest.objects.bulk_create(
            ReviewRequest(incident=change.incident, reviewer=user, asked_by_id=actor.person_id) for user in found
        )
        change.incident.status = Status.IN_REVIEW
        change.record("incident.submitted", reviewers=[user.pk for user in found])
    return change.incident


def withdraw(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Return it from review to draft, which ends the round. After someone requested changes it is a draft already, but
    its reviewers still read it, and this ends that too."""
    with changing(actor, incident_id, expected_version=expected_version) as change:
        if change.incident.status == Status.DRAFT and not change.incident.reviews.filter(ended_at=None).exists():
            raise WrongState(f"{change.incident.ref} is not in review.")
        change.incident.status = Status.DRAFT
        _end_review_round(change)
        change.record("incident.withdrawn")
    return change.incident


def review(
    *, actor: Viewer, incident_id: int, approve: bool, comment: str = "", expected_version: int | None = None
) -> Incident:
    """A reviewer approves or requests changes. Requesting changes needs a comment and returns it to draft."""
    comment = clean("comment", comment, max_characters=20_000)
    if not approve and not comment:
        raise Invalid({"comment": "Say what should change."})
    with changing(
        actor,
        incident_id,
        permission=_was_asked,
        refusal="Only the requested reviewers can do this.",
        expected_version=expected_version,
        states=(Status.IN_REVIEW,),
    ) as change:
        request = change.incident.reviews.filter(reviewer_id=actor.user_id, ended_at__isnull=True).first()
        if request is None:
            raise NotAllowed("This was sent for review again in the meantime, and you are no longer a reviewer.")
        if approve and wrote_in_this_round(change.incident, actor.person_id):
            raise NotAllowed(OWN_CHANGES)
        request.state = ReviewState.APPROVED if approve else ReviewState.CHANGES_REQUESTED
        request.comment, request.decided_at = comment, timezone.now()
        request.approved_version = change.incident.version if approve else None
        request.save()
        # An approval does not change the text, so it must not make the version that it approves stale.
        change.counts_as_edit = not approve
        if not approve:
            change.incident.status = Status.DRAFT
        change.record("incident.reviewed", decision=request.state)
    return change.incident


def publish(*, actor: Viewer, incident_id: int, note: str = "", expected_version: int | None = None) -> Revision:
    """Publish the working copy as an immutable revision. Needs an approval of the current text, or a lead.

    Raises Incomplete with what is missing, NotAllowed without an approval, WrongState when it is not in review.
    """
    note = clean("note", note, max_characters=500, single_line=True)
    with changing(actor, incident_id, expected_version=expected_version) as change:
        if not scopes.may_lead(actor, change.incident) and not _is_approved(change.incident):
            raise NotAllowed(
                "Publishing needs an approval of the current text. Ask a reviewer for it, or a team lead to publish it."
            )
        return write_revision(change, note)


def write_revision(change: Change, note: str) -> Revision:
    """Write the working copy of a locked incident as its next revision. Raises Incomplete."""
    incident = change.incident
    prefetch_parts(incident)
    if lacking := missing(incident):
        raise Incomplete(lacking)
    incident.status = Status.PUBLISHED
    # Do not save the incident before this: writing its row twice would make the commit wait for the organization's row.
    # A concurrent rename holds that lock while it waits for this row, so the two would deadlock.
    document = build(incident)
    last = incident.revisions.aggregate(number=Max("number"))["number"]
    revision = Revision.objects.create(
        incident=incident,
        number=(last or 0) + 1,
        document=document,
        note=note,
        published_by_id=change.actor.person_id,
    )
    incident.published_revision = revision
    incident.published_organization = incident.organization
    incident.published_services.set(incident.services.all())
    _end_review_round(change)
    # The index still holds the previous text, and with it names that may have been removed.
    change.narrows = True
    change.record("incident.published", revision, number=revision.number)
    return revision


def reopen(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Back to draft for its authors; everyone else keeps the published revision."""
    with changing(actor, incident_id, expected_version=expected_version, states=(Status.PUBLISHED,)) as change:
        back_to_draft(change)
    return change.incident


def back_to_draft(change: Change) -> None:
    """Reopen a locked incident that is published."""
    change.incident.status = Status.DRAFT
    change.record("incident.reopened")


def archive(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Hide it from lists and default search. Everyone who could read it still can."""
    with changing(
        actor,
        incident_id,
        permission=scopes.may_lead,
        refusal=LEADS_ONLY,
        expected_version=expected_version,
        states=(Status.PUBLISHED,),
    ) as change:
        change.incident.status = Status.ARCHIVED
        change.record("incident.archived")
    return change.incident


def restore(*, actor: Viewer, incident_id: int, expected_version: int | None = None) -> Incident:
    """Back from the archive to published."""
    with changing(
        actor,
        incident_id,
        permission=scopes.may_lead,
        refusal=LEADS_ONLY,
        expected_version=expected_version,
        states=(Status.ARCHIVED,),
    ) as change:
        change.incident.status = Status.PUBLISHED
        change.record("incident.restored")
    return change.incident


def _end_review_round(change: Change) -> None:
    """End the round: its reviewers no longer see drafts and cannot approve them. Their decisions are kept."""
    round_now = change.incident.reviews.filter(ended_at__isnull=True)
    if round_now.exists():
        round_now.filter(state=ReviewState.ASKED).delete()
        round_now.update(ended_at=timezone.now())
    if not change.incident.has_published_revision or change.incident.visibility == Visibility.TEAM:
        # The index may still list the reviewers of this round.
        change.narrows = True


def wrote_in_this_round(incident: Incident, user_id: int) -> bool:
    """Whether the user changed the text since it was sent for review, and so cannot approve it."""
    entries = AuditEntry.objects.filter(incident=incident)
    submitted = entries.filter(action="incident.submitted").aggregate(last=Max("pk"))["last"] or 0
    later = entries.filter(pk__gt=submitted, actor_id=user_id)
    # Decisions about patterns do not change the text.
    return later.exclude(action="incident.reviewed").exclude(object_type="tag").exists()


def _was_asked(viewer: Viewer, incident: Incident) -> bool:
    return incident.pk in viewer.asked_to_review


def _is_approved(incident: Incident) -> bool:
    if incident.status != Status.IN_REVIEW:
        raise WrongState("Send it for review first, or ask a team lead to publish it.")
    approvals = incident.reviews.filter(state=ReviewState.APPROVED, ended_at__isnull=True, reviewer__is_active=True)
    return approvals.filter(approved_version=incident.version).exists()


def _reviewers(actor: Viewer, addresses: Sequence[str]) -> list[User]:
    if not addresses:
        raise Invalid({"reviewers": "Name at least one reviewer."})
    found: dict[int, User] = {}
    unknown: dict[str, str] = {}
    for place, address in enumerate(addresses):
        people = User.objects.with_address(clean(f"reviewers.{place}", address, max_characters=254))
        user = people.filter(is_active=True, is_system=False, is_service_account=False).first()
        if user is None:
            unknown[f"reviewers.{place}"] = f"No active user has the address {address}."
        else:
            found[user.pk] = user
    if unknown:
        raise Invalid(unknown)
    if actor.user_id in found:
        raise Invalid({"reviewers": "Choose someone other than yourself to review it."})
    return list(found.values())
