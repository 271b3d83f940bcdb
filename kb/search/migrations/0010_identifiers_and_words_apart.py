"""Documents hold the identifier that an incident has elsewhere and the day in UTC, and keep more words apart: each is
to be built anew."""

from importlib import import_module

from django.db import migrations

build_anew = import_module("kb.search.migrations.0005_documents_anew").build_anew


class Migration(migrations.Migration):
    dependencies = [("search", "0009_base_forms_and_dates"), ("incidents", "0004_what_everybody_may_see")]
    operations = [migrations.RunPython(build_anew, migrations.RunPython.noop)]
