"""Documents hold irregular forms and British spellings as their base form, and the date of the start: each is to be
built anew."""

from importlib import import_module

from django.db import migrations

build_anew = import_module("kb.search.migrations.0005_documents_anew").build_anew


class Migration(migrations.Migration):
    dependencies = [("search", "0008_days_and_pairs_of_words"), ("incidents", "0004_what_everybody_may_see")]
    operations = [migrations.RunPython(build_anew, migrations.RunPython.noop)]
