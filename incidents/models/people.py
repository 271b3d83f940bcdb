"""Users, teams, and invitations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower

from incidents.models.base import Versioned
from incidents.vocabulary import Role

SYSTEM_EMAIL = "system@precedent.invalid"


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.with_address(username or "").get()

    def with_address(self, address: str) -> models.QuerySet[User]:
        """The user with this e-mail address, in any letter case. Addresses are stored as Python lowers them: databases
        take letters such as a dotless i for others when they compare without case."""
        return self.filter(email=address.strip().lower())

    def system(self) -> User:
        """The user that importers and loaders act as. Cannot sign in."""
        user, _ = self.get_or_create(
            email=SYSTEM_EMAIL,
            defaults={
                "name": "Precedent",
                "is_system": True,
                "is_admin": True,
                "is_service_account": True,
                "password": "!",
            },
        )
        return user


class User(AbstractBaseUser):  # type: ignore[django-manager-missing]
    """Someone who signs in, or a service account that only holds tokens."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    is_admin = models.BooleanField(default=False)
    is_service_account = models.BooleanField(default=False)
    is_system = models.BooleanField(default=False, editable=False)
    joined_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_email")]
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class Team(Versioned):
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80, unique=True)
    description = models.CharField(max_length=300, blank=True)
    members = models.ManyToManyField(User, through="Membership", related_name="teams")

    class Meta:
        ordering = ["name"]
        # On an expression, for the same reason as in Organization.
        constraints = [models.UniqueConstraint(Lower("name"), name="team_name_once")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_role_per_team")]
        ordering = ["user__name"]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} as {self.role}"


class Invitation(models.Model):
    """A link through which one person can create an account. Only the digest of its secret is stored."""

    email = models.EmailField(blank=True)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.AUTHOR)
    as_admin = models.BooleanField(default=False)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations_sent")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"invitation {self.pk}"
