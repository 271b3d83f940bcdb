"""E-mail, where a mail server is configured. No feature depends on it: every page that sends mail works without it.

Callers send after the commit, so that no mail announces a change that was rolled back. A failure is logged, and
reported to the caller by the return value of `send`.
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
    """The absolute address of a page, for use outside of the site."""
    return settings.BASE_URL + reverse(name, args=args)


def send(to: str, subject: str, template: str, context: Mapping[str, Any]) -> bool:
    """Send one mail now. Returns whether the server took it; False, without a log entry, when none is configured."""
    return is_set_up() and _deliver(_message(to, subject, template, context), template)


def send_in_background(to: str, subject: str, template: str, context: Mapping[str, Any]) -> None:
    """Send one mail in the background, so that response times do not reveal which addresses have an account."""
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
        # Neither the address nor the text, because both are private.
        log.error("mail.failed", template=template, error=type(error).__name__)
        return False
    return True
