from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "kb.api"

    def ready(self) -> None:
        from kb.api import checks  # noqa: F401  (registers itself)
