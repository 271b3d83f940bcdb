"""The WSGI application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.template import engines
from django.urls import get_resolver

from kb.checks import refuse_unsafe_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kb.settings")
refuse_unsafe_settings()
application = get_wsgi_application()
# Django reads views and template tags when the first request comes, in each process anew. Read here, before gunicorn
# forks, they are read once, the processes share their memory, and nobody's first page waits for them.
get_resolver().url_patterns  # noqa: B018
engines.all()
