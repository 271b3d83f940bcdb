"""On PostgreSQL, long texts hold pairs of words: documents are to be built anew."""

from django.db import migrations

CONSUMER = "database_index"


def build_anew(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    incidents = apps.get_model("incidents", "Incident").objects.filter(deleted_at__isnull=True)
    entry = apps.get_model("incidents", "OutboxEntry")
    entry.objects.bulk_create(
        [entry(consumer=CONSUMER, incident_id=pk) for pk in incidents.order_by("pk").values_list("pk", flat=True)],
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("search", "0007_who_counts"), ("incidents", "0004_what_everybody_may_see")]
    operations = [migrations.RunPython(build_anew, migrations.RunPython.noop)]
