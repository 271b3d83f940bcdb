"""Documents hold a day, month or year as it was published, whatever its zone, and on PostgreSQL long texts hold pairs of
words: each is to be built anew."""

from importlib import import_module

from django.db import migrations

build_anew = import_module("kb.search.migrations.0005_documents_anew").build_anew


class Migration(migrations.Migration):
    dependencies = [("search", "0007_who_counts"), ("incidents", "0004_what_everybody_may_see")]
    operations = [migrations.RunPython(build_anew, migrations.RunPython.noop)]
