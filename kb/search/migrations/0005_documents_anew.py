"""Documents hold what sources disagree about, and names in the form that queries have: each is to be built anew."""

from django.conf import settings
from django.db import migrations
from django.db.models import F


def build_anew(apps, schema_editor):
    incidents = apps.get_model("incidents", "Incident").objects.filter(deleted_at__isnull=True)
    # Engines keep what is not newer than what they have.
    incidents.update(index_version=F("index_version") + 1)
    entry = apps.get_model("incidents", "OutboxEntry")
    entry.objects.bulk_create(
        [
            entry(consumer=consumer, incident_id=pk)
            for pk in incidents.order_by("pk").values_list("pk", flat=True)
            for consumer in settings.OUTBOX_CONSUMERS
            if consumer != "tagger"
        ],
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("search", "0004_long_texts_last"), ("incidents", "0004_what_everybody_may_see")]
    operations = [migrations.RunPython(build_anew, migrations.RunPython.noop)]
