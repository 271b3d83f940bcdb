"""Review: asking reviewers, deciding, and withdrawing from review."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import redirect, render

from incidents import history, scopes
from incidents.actions import lifecycle
from incidents.errors import Invalid, Missing, NotAllowed, Stale, WrongState
from incidents.models import Incident, ReviewRequest, User
from incidents.scopes import Viewer
from incidents.vocabulary import ReviewState, Status
from kb.web.errors import CONFLICT, STATUS
from kb.web.people import mail
from kb.web.request import Request
from kb.web.writing import readiness
from kb.web.writing.access import get_only, id_of, incident_to_read, opened_version, post_only, signed_in
from kb.web.writing.editor import EDITABLE
from kb.web.writing.inputs import errors_by_input

SUGGESTIONS = 500
QUICK_PICKS = 30
STATUS_AFTER_REVIEW = {
    Status.DRAFT: "a draft again",
    Status.PUBLISHED: "published now",
    Status.ARCHIVED: "archived now",
}


@get_only
@signed_in
def review(request: Request, reference: str) -> HttpResponse:
    """The reviewers and their decisions. Reviewers can decide here, and authors can ask for a review."""
    return review_page(request, incident_to_read(request, reference))


def review_page(
    request: Request,
    incident: Incident,
    *,
    problems: tuple[str, ...] = (),
    errors: dict[str, tuple[str, ...]] | None = None,
    typed: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    viewer = request.viewer
    if not scopes.sees_working_copy(viewer, incident):
        raise NotAllowed("Only the owning team, the reviewers and admins can see this review.")
    # The current round first, then earlier ones, latest first.
    rounds = (F("ended_at").desc(nulls_first=True), "asked_at", "pk")
    reviews = list(history.reviews(incident, viewer).order_by(*rounds))
    mine = next((r for r in reviews if r.reviewer_id == viewer.user_id and r.ended_at is None), None)
    may_change = scopes.may_edit(viewer, incident) and incident.status in EDITABLE
    in_review = incident.status == Status.IN_REVIEW
    may_decide = in_review and mine is not None
    wrote = may_decide and lifecycle.wrote_in_this_round(incident, viewer.person_id)
    context = {
        "incident": incident,
        "reviews": [(r, r.approves(incident.version)) for r in reviews],
        "may_decide": may_decide,
        "has_approved": mine is not None and mine.state == ReviewState.APPROVED,
        "approves": mine is not None and mine.approves(incident.version),
        "own_changes": lifecycle.OWN_CHANGES if wrote else "",
        "may_change": may_change,
        "may_withdraw": may_change and (in_review or any(review.ended_at is None for review in reviews)),
        "may_publish": may_change and may_publish(request, incident, reviews),
        "readiness": readiness.of(incident) if may_change else None,
        "colleagues": _colleagues(request, incident, reviews, (typed or {}).get("reviewers")) if may_change else [],
        "people": _people(request) if may_change else [],
        "problems": problems,
        "errors": errors or {},
        "typed": typed or {},
        "mail": mail.is_set_up(),
    }
    return render(request, "web/writing/review.html", context, status=status)


def may_publish(request: Request, incident: Incident, reviews: list[ReviewRequest]) -> bool:
    """Whether the viewer can publish: with an approval of the current text, or as a lead or admin."""
    approved = incident.status == Status.IN_REVIEW and any(r.approves(incident.version) for r in reviews)
    return approved or scopes.may_lead(request.viewer, incident)


def _people(request: Request) -> list[User]:
    people = scopes.visible_people(request.viewer).filter(is_active=True, is_service_account=False)
    return list(people.exclude(pk=request.viewer.person_id)[:SUGGESTIONS])


def _colleagues(
    request: Request, incident: Incident, reviews: list[ReviewRequest], typed: list[str] | None
) -> list[tuple[User, bool]]:
    """The people to offer as reviewers, each with whether to check their box: earlier reviewers, then the owning team.

    In review, those of the current round are checked, because asking again starts a new round. In a draft, all earlier
    reviewers are. `typed` are the addresses that were checked in a form that was rejected.
    """
    known = [r.reviewer_id for r in reviews]
    checked = {r.reviewer_id for r in reviews if r.ended_at is None or incident.status == Status.DRAFT}
    people = scopes.visible_people(request.viewer).filter(is_active=True, is_service_account=False)
    people = people.exclude(pk=request.viewer.person_id).order_by("name", "pk")
    team = people.filter(memberships__team=incident.team_id).exclude(pk__in=known)
    return [
        (person, person.pk in checked if typed is None else person.email in typed)
        for person in (*people.filter(pk__in=known), *team[:QUICK_PICKS])
    ]


@post_only
@signed_in
def submit(request: Request, reference: str) -> HttpResponse:
    incident_id = id_of(request, reference)
    # The form sends the checked colleagues first and the free text field last.
    sent = [address.strip() for address in request.POST.getlist("reviewers")]
    addresses = list(dict.fromkeys(filter(None, sent)))
    try:
        incident = lifecycle.submit(actor=request.viewer, incident_id=incident_id, reviewers=addresses)
    except Invalid as refused:
        errors = errors_by_input(refused.fields, ("reviewers",))
        return review_page(
            request,
            incident_to_read(request, reference),
            errors=errors,
            problems=errors.get("", ()),
            typed={"reviewers": sent[:-1], "other": sent[-1] if sent else ""},
            status=400,
        )
    asked = incident.reviews.filter(ended_at__isnull=True)
    _notify_reviewers(request, incident, list(asked.values_list("reviewer__email", flat=True)))
    return redirect("web:review", incident.ref)


def _notify_reviewers(request: Request, incident: Incident, addresses: list[str]) -> None:
    """Notify the reviewers by e-mail where it is set up. The author is shown who could not be reached."""
    asking = User.objects.get(pk=request.viewer.person_id)
    context = {"incident": incident, "asking": asking, "address": mail.address_of("web:review", incident.ref)}
    unreached = [
        address
        for address in addresses
        if not mail.send(
            address, f"Please review {incident.ref}: {incident.title}", "web/writing/mail_review.txt", context
        )
    ]
    if not mail.is_set_up():
        messages.success(
            request, "In review. Your reviewers will see it on their start page. If it is urgent, send them the link."
        )
    elif unreached:
        messages.warning(
            request, f"In review. No e-mail could be sent to {', '.join(unreached)}. Let them know yourself."
        )
    else:
        messages.success(request, "In review. Your reviewers have been notified by e-mail.")


@post_only
@signed_in
def withdraw(request: Request, reference: str) -> HttpResponse:
    incident = lifecycle.withdraw(actor=request.viewer, incident_id=id_of(request, reference))
    messages.success(request, f"{incident.ref} is a draft again.")
    return redirect("web:edit", incident.ref)


@post_only
@signed_in
def decide(request: Request, reference: str) -> HttpResponse:
    """Approve or request changes. An approval covers only the version of the text that the reviewer was shown."""
    approve = request.POST.get("decision") == "approve"
    comment = request.POST.get("comment", "").replace("\r\n", "\n")
    try:
        incident = lifecycle.review(
            actor=request.viewer,
            incident_id=id_of(request, reference),
            approve=approve,
            comment=comment,
            expected_version=opened_version(request),
        )
    except Missing:
        # Reviewers from another team no longer see a draft when its review has ended.
        raise Missing(
            "There is no review for you here. If you were asked for one, it ended while you were writing."
        ) from None
    except (Stale, NotAllowed, WrongState) as refused:
        incident = incident_to_read(request, reference)
        problem = _why_undecided(request.viewer, incident, refused)
        if not scopes.sees_working_copy(request.viewer, incident):
            raise NotAllowed(problem) from refused
        return review_page(
            request,
            incident,
            problems=(problem,),
            typed={"comment": comment},
            status=STATUS.get(type(refused), CONFLICT),
        )
    except Invalid as refused:
        errors = errors_by_input(refused.fields, ("comment",))
        return review_page(
            request,
            incident_to_read(request, reference),
            errors=errors,
            problems=errors.get("", ()),
            typed={"comment": comment},
            status=400,
        )
    messages.success(request, "Approved. Thank you." if approve else "Sent back with your comment. Thank you.")
    seen = scopes.visible_incidents(request.viewer).filter(pk=incident.pk).exists()
    return redirect("web:incident", incident.ref) if seen else redirect("web:home")


def _why_undecided(viewer: Viewer, incident: Incident, refused: Stale | NotAllowed | WrongState) -> str:
    """What happened while the reviewer was writing."""
    if incident.status != Status.IN_REVIEW:
        now = STATUS_AFTER_REVIEW[Status(incident.status)]
        return f"The review ended while you were writing: {incident.ref} is {now}."
    if incident.pk not in viewer.asked_to_review:
        return (
            f"You are not a reviewer of {incident.ref} now. A new review may have been started while you were writing."
        )
    if isinstance(refused, Stale):
        return "The text changed after you opened this page. Read it again, then decide."
    return refused.message
