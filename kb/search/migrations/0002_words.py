"""The inverted index of the database engine, which no model describes."""

from django.db import migrations

from kb.search.database import postgresql, sqlite


def _dialect(schema_editor):
    return postgresql if schema_editor.connection.vendor == "postgresql" else sqlite


def create(apps, schema_editor):
    schema_editor.execute(_dialect(schema_editor).CREATE)


def drop(apps, schema_editor):
    schema_editor.execute(_dialect(schema_editor).DROP)


class Migration(migrations.Migration):
    dependencies = [("search", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
