"""The days on which open actions are due, as values to search by; and which engines are told of every change."""

from django.db import migrations, models


def fill_due(apps, schema_editor):
    document, value = apps.get_model("search", "SearchDocument"), apps.get_model("search", "SearchValue")
    value.objects.bulk_create(
        (
            value(document_id=pk, field="due", value=day)
            for pk, shown in document.objects.values_list("pk", "shown").iterator()
            for day in shown["due"]
        ),
        batch_size=1000,
    )


def forget_due(apps, schema_editor):
    apps.get_model("search", "SearchValue").objects.filter(field="due").delete()


class Migration(migrations.Migration):
    dependencies = [("search", "0002_words")]
    operations = [
        migrations.CreateModel(
            name="EngineInStep",
            fields=[("consumer", models.CharField(max_length=30, primary_key=True, serialize=False))],
        ),
        migrations.RunPython(fill_due, forget_due),
    ]
