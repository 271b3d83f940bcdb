"""Mail, when there is a server for it. Nothing here depends on mail: every page that sends some shows a way without.

Sent after the commit, so that nobody is told of what did not happen. A mail that cannot be sent is logged, and the one
who caused it is told by `send`'s answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from smtplib import SMTPException
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

log = structlog.get_logger(__name__)


def is_set_up() -> bool:
    return bool(settings.EMAIL_URL)


def address_of(name: str, *args: object) -> str:
    """The absolute address of a page, for people who are somewhere else."""
    return settings.BASE_URL + reverse(name, args=args)


def send(to: str, subject: str, template: str, context: Mapping[str, Any]) -> bool:
    """Send one mail now; whether it was handed over. False without a word when there is no mail server."""
    return is_set_up() and _deliver(_message(to, subject, template, context), template)


def send_unobserved(to: str, subject: str, template: str, context: Mapping[str, Any]) -> None:
    """Send one mail without the page waiting for it, so that its answer takes as long for addresses that nobody has."""
    if is_set_up():
        message = _message(to, subject, template, context)
        threading.Thread(target=_deliver, args=(message, template), daemon=True).start()


def _message(to: str, subject: str, template: str, context: Mapping[str, Any]) -> EmailMessage:
    body = render_to_string(template, dict(context))
    return EmailMessage(" ".join(subject.split()), body, settings.DEFAULT_FROM_EMAIL, [to])


def _deliver(message: EmailMessage, template: str) -> bool:
    try:
        message.send()
    except (SMTPException, OSError) as error:
        # Neither address nor text: a log is no place for either.
        log.error("mail.failed", template=template, error=type(error).__name__)
        return False
    return True
