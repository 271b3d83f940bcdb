"""Authentication by an access token in `Authorization: Bearer`, or by the session of the web interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.crypto import hash_token
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from incidents.models import User
from kb.api.models import AccessToken
from kb.api.problems import CODES, Refusal

LAST_USED_STEP = timedelta(minutes=1)
SQLITE_WAIT_MILLISECONDS = 100


class TokenAuthentication(KnoxTokenAuthentication):
    """Looks a token up by its digest. Expired tokens get their own error and are kept, so that the owner sees why."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, AccessToken]:
        try:
            digest = hash_token(token.decode("ascii"))
        except UnicodeDecodeError as error:
            raise _refused("invalid_token") from error
        found = AccessToken.objects.select_related("user").filter(digest=digest).first()
        if found is None:
            raise _refused("invalid_token")
        now = timezone.now()
        if found.expiry is not None and found.expiry <= now:
            raise _refused("token_expired")
        if not found.user.is_active:
            raise _refused("inactive_account")
        self._touch(found, now)
        return found.user, found

    def _touch(self, token: AccessToken, now: Any) -> None:
        """Record the use, at most once a minute. A read should not always cause a write, and must neither wait nor fail
        because of it: a use that cannot be recorded now is left to the next request."""
        before = now - LAST_USED_STEP
        if token.last_used is None or token.last_used < before:
            not_yet = AccessToken.objects.filter(Q(last_used__isnull=True) | Q(last_used__lt=before), pk=token.pk)
            with suppress(OperationalError), _short_busy_timeout(), transaction.atomic():
                AccessToken.objects.filter(pk__in=not_yet.select_for_update(skip_locked=True)).update(last_used=now)


class SessionAuthentication(authentication.SessionAuthentication):
    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as error:
            raise Refusal(
                "csrf_failed", "Send the value of the csrftoken cookie as X-CSRFToken, or use an access token."
            ) from error


@contextmanager
def _short_busy_timeout() -> Iterator[None]:
    """Shorten the wait for the write lock on SQLite, where a writer locks the whole file. Elsewhere SKIP LOCKED is
    enough."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        ((usual,),) = cursor.execute("PRAGMA busy_timeout").fetchall()
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_MILLISECONDS}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual}")


def _refused(code: str) -> exceptions.AuthenticationFailed:
    return exceptions.AuthenticationFailed(CODES[code][1] + ".", code=code)
