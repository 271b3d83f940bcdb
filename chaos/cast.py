"""The users that write and read. `python -m chaos.cast FILE` creates them and writes their ids and tokens to FILE.

It also loads the patterns, so that the tagger has work. The author leads Checkout, the team that owns every incident;
the outsider belongs to another team; the admin renames organizations.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

TEAM = "checkout"
ORGANIZATIONS = ("Acme", "Northwind", "Contoso", "Initech", "Globex", "Hooli")


@dataclass(frozen=True, slots=True)
class Cast:
    """The ids of users and organizations, and the secret of each reader's API token, by reader."""

    author: int
    admin: int
    tokens: dict[str, str]
    organizations: list[int]

    @classmethod
    def read(cls, path: Path) -> Cast:
        return cls(**json.loads(path.read_text()))


def make() -> Cast:
    from incidents import template
    from incidents.actions.organizations import create_organization, create_team, save_template, set_membership
    from incidents.models import User
    from incidents.scopes import Viewer
    from incidents.vocabulary import Role
    from kb.api.tokens import create_token
    from kb.patterns import vocabulary

    system = Viewer.system()
    for definition in template.shipped_definitions():
        save_template(actor=system, definition=definition)
    vocabulary.load(actor=system)
    organizations = [
        create_organization(actor=system, name=name, is_home=place == 0).pk for place, name in enumerate(ORGANIZATIONS)
    ]
    people = {}
    for name, team in (("author", "Checkout"), ("outsider", "Payments"), ("admin", "Platform")):
        people[name] = User.objects.create(
            email=f"{name}@acme.example", name=name.capitalize(), is_admin=name == "admin", password="!"
        )
        made = create_team(actor=system, name=team)
        set_membership(actor=system, team_id=made.pk, user=people[name], role=Role.LEAD)
    tokens = {name: create_token(actor=Viewer.of(people[name]), name="campaign")[1] for name in ("author", "outsider")}
    return Cast(people["author"].pk, people["admin"].pk, tokens, organizations)


if __name__ == "__main__":
    import django

    django.setup()
    Path(sys.argv[1]).write_text(json.dumps(asdict(make())))
