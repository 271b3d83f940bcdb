"""SQLite reads a row from its beginning: what is filtered and counted by comes before the long texts."""

from django.db import migrations, models
from django.db.models import F


def copy(apps, schema_editor):
    apps.get_model("search", "SearchDocument").objects.update(texts_last=F("texts"), shown_last=F("shown"))


def copy_back(apps, schema_editor):
    apps.get_model("search", "SearchDocument").objects.update(texts=F("texts_last"), shown=F("shown_last"))


class Migration(migrations.Migration):
    dependencies = [("search", "0003_due_and_engines_in_step")]
    operations = [
        migrations.AddField("searchdocument", "shown_last", models.JSONField(default=dict), preserve_default=False),
        migrations.AddField("searchdocument", "texts_last", models.JSONField(default=dict), preserve_default=False),
        migrations.RunPython(copy, copy_back),
        # So that they can be put back empty on the way back.
        migrations.AlterField("searchdocument", "texts", models.JSONField(default=dict)),
        migrations.AlterField("searchdocument", "shown", models.JSONField(default=dict)),
        migrations.RemoveField("searchdocument", "texts"),
        migrations.RemoveField("searchdocument", "shown"),
        migrations.RenameField("searchdocument", "texts_last", "texts"),
        migrations.RenameField("searchdocument", "shown_last", "shown"),
    ]
