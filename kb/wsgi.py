"""The WSGI application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from kb.checks import refuse_unsafe_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kb.settings")
refuse_unsafe_settings()
application = get_wsgi_application()
