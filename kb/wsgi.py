"""The WSGI application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.template import engines
from django.urls import get_resolver

from kb.checks import refuse_unsafe_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kb.settings")
refuse_unsafe_settings()
application = get_wsgi_application()
# Django loads views and template tags on the first request of each process. Loaded here, before gunicorn forks, they
# are loaded once, the processes share their memory, and no request waits for them.
get_resolver().url_patterns  # noqa: B018
engines.all()
