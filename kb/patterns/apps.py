from django.apps import AppConfig


class PatternsConfig(AppConfig):
    name = "kb.patterns"
    verbose_name = "Patterns"
