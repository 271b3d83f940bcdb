"""How rare a word is, is counted over what everybody may read, or everybody who is signed in: their documents are
marked. SQLite's index is read by places for that."""

from django.db import migrations

from incidents.vocabulary import Visibility
from kb.search.database import sqlite
from kb.search.database.rarity import EVERYBODY, SIGNED_IN

_READ = {EVERYBODY: [Visibility.PUBLIC], SIGNED_IN: [Visibility.PUBLIC, Visibility.INTERNAL]}


def mark(apps, schema_editor):
    statement = (
        "UPDATE search_searchdocument SET words = words || %s::tsvector WHERE incident_id = %s"
        if schema_editor.connection.vendor == "postgresql"
        else "UPDATE search_words SET d = d || %s WHERE rowid = %s"
    )
    published = apps.get_model("incidents", "Incident").objects.filter(published_revision__isnull=False)
    with schema_editor.connection.cursor() as cursor:
        for word, levels in _READ.items():
            ids = published.filter(visibility__in=levels).values_list("pk", flat=True)
            cursor.executemany(statement, [[f" {word.stem}", pk] for pk in ids])


def create_places(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(sqlite.CREATE_PLACES)


def drop_places(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(sqlite.DROP_PLACES)


class Migration(migrations.Migration):
    dependencies = [("search", "0006_saved_searches"), ("incidents", "0004_what_everybody_may_see")]
    operations = [
        migrations.RunPython(mark, migrations.RunPython.noop),
        migrations.RunPython(create_places, drop_places),
    ]
