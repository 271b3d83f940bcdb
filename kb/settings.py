"""Settings. Everything comes from the environment; docs/configuration.md lists what can be set.

With nothing set this is the embedded mode: SQLite, its full-text search and a filesystem broker under VAR_DIR.
Unsafe combinations are refused by the checks in kb/checks.py, not silently corrected here.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.schedules import crontab
from csp.constants import NONE, SELF

from kb.environment import Environment, is_mail, is_postgresql, is_sqlite, own_address
from kb.folders import folder_lock

env = Environment()
UNUSABLE_VARIABLES = env.unusable
BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))


def _generated_secret_key() -> str:
    """The embedded mode's own key: generated once, readable only by its owner, and kept next to the database."""
    path = VAR_DIR / "secret-key"
    try:
        VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Processes that start at the same time must get the same key.
        with folder_lock(VAR_DIR):
            if not path.exists() or not path.read_text().strip():
                # Rename it into place once it is complete: on a full disk, writing can leave an empty file.
                new = path.with_suffix(".new")
                new.touch(mode=0o600)
                new.write_text(secrets.token_urlsafe(50))
                new.replace(path)
            return path.read_text().strip()
    except OSError as error:
        raise SystemExit(
            f"{VAR_DIR} cannot be written to ({error.strerror}). Set VAR_DIR to a writable folder."
        ) from error


# --- Modes -----------------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=8)
ELASTICSEARCH_URL = env.str("ELASTICSEARCH_URL", default="")
ELASTICSEARCH_API_KEY = env.str("ELASTICSEARCH_API_KEY", default="")
ELASTICSEARCH_CA = env.str("ELASTICSEARCH_CA", default="")
ELASTICSEARCH_INDEX = env.str("ELASTICSEARCH_INDEX", default="precedent")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
EMBEDDED = not DATABASE_URL or DATABASE_URL.startswith("sqlite")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or (_generated_secret_key() if EMBEDDED else "")
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.port("PORT", default=8000)
BASE_URL = env.str("BASE_URL", default=own_address(HOST, PORT)).rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
HTTPS = BASE_URL.lower().startswith("https://")

# --- Applications ----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "django_prometheus",
    "django_structlog",
    "axes",
    "csp",
    "incidents",
    "kb",
    "kb.patterns",
    "kb.search",
    "kb.insights",
    "kb.api",
    "kb.web",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "kb.middleware.trusted_proxy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "kb.middleware.retry_broken_connections",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "kb.middleware.RequestLog",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "kb.web.middleware.viewer_and_time_zone",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "kb.urls"
WSGI_APPLICATION = "kb.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "kb.web.context.site",
            ],
            "builtins": ["kb.web.templatetags.precedent"],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database, cache -------------------------------------------------------------------------------
if not DATABASE_URL or is_sqlite(DATABASE_URL):
    _path = DATABASE_URL.removeprefix("sqlite:///") or str(VAR_DIR / "precedent.sqlite3")
    DATABASES: dict[str, dict[str, Any]] = {
        "default": {
            "ENGINE": "kb.sqlite",
            "NAME": _path,
            # Connections stay open: opening the file and reading its first pages would take a good part of a search.
            # On a full disk it would even fail unless another connection is open, because there is no room for the
            # files that SQLite creates next to the database.
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                # Writers queue for the lock at BEGIN instead of failing when a read turns into a write.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # Pages are read in place from the operating system's cache, for up to 256 MiB of the file.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
                "PRAGMA mmap_size=268435456;",
            },
        }
    }
elif is_postgresql(DATABASE_URL):
    DATABASES = {"default": env.db_url_config(DATABASE_URL)}
    # A connection that the server has dropped, as on a restart, is replaced before a request gets it.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 10},
    }
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.dummy"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if CELERY_BROKER_URL.startswith("redis"):
    # The cache holds only throttling counts: losing Redis must not fail a request.
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": CELERY_BROKER_URL,
            "KEY_PREFIX": "precedent",
            "OPTIONS": {
                "SOCKET_CONNECT_TIMEOUT": 0.2,
                "SOCKET_TIMEOUT": 0.2,
                "IGNORE_EXCEPTIONS": True,
            },
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- People ----------------------------------------------------------------------------------------
# Used on the first start only.
ORGANIZATION_NAME = env.str("ORGANIZATION_NAME", default="My organization")
ADMIN_EMAIL = env.str("ADMIN_EMAIL", default="admin@localhost.localdomain")
AUTH_USER_MODEL = "incidents.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "web:home"
INVITATION_DAYS = 7
AXES_FAILURE_LIMIT = env.int("SIGN_IN_FAILURES", default=8)
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "kb.web.people.sign_in.lockout_name"
AXES_RESET_ON_SUCCESS = True
# Axes stores the posted fields. Of these it stores only that they were present.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "old_password", "new_password1", "new_password2"]
AXES_LOCKOUT_TEMPLATE = "web/people/locked_out.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_CLIENT_IP_CALLABLE = "kb.addresses.counted"
AXES_VERBOSE = False

# --- Security --------------------------------------------------------------------------------------
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
CSRF_TRUSTED_ORIGINS = [BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
SECURE_SSL_REDIRECT = env.bool("HTTPS_REDIRECT", default=True) and HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
FILE_UPLOAD_HANDLERS = ["kb.uploads.NoFiles"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}

# --- Language and time -----------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

# --- Files -----------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "kb" / "web" / "assets"]
# Files are served straight from the packages that own them: there is no build step to forget before a start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- Mail ------------------------------------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", default="")
if is_mail(EMAIL_URL):
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="precedent@localhost")

# --- REST ------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "kb.api.authentication.TokenAuthentication",
        "kb.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["kb.api.permissions.TokenScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["kb.api.parsers.StrictJSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["kb.api.throttling.PerUser", "kb.api.throttling.PerAddress"],
    "DEFAULT_THROTTLE_RATES": {
        "user": env.str("API_RATE_USER", default="1200/min"),
        "address": env.str("API_RATE_ADDRESS", default="300/min"),
    },
    "DEFAULT_SCHEMA_CLASS": "kb.api.schema.Schema",
    "EXCEPTION_HANDLER": "kb.api.problems.handle",
    "URL_FORMAT_OVERRIDE": None,
}
REST_KNOX = {
    "SECURE_HASH_ALGORITHM": "hashlib.sha512",
    "TOKEN_MODEL": "api.AccessToken",
    "AUTO_REFRESH": False,
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_PREFIX": "precedent_",
}
KNOX_TOKEN_MODEL = "api.AccessToken"  # noqa: S105  (the name of a model)
# knox's migrations create a table for the model that ours replaces, which nothing would ever use.
MIGRATION_MODULES = {"knox": None}
SPECTACULAR_SETTINGS = {
    "TITLE": "Precedent",
    "DESCRIPTION": """Read, write, review and search postmortems, and the failure patterns that recur in them.

- **Access**: public incidents can be read without signing in. Everything else needs an access token.
- **Lists** are `{"results": [...], "next": url}`. Follow `next` until it is null.
- **Changes** need `If-Match` with the ETag that was read, so that concurrent edits cannot overwrite each other.
- **Retries**: a POST with an `Idempotency-Key` can be repeated safely.
- **Errors** are problem documents (RFC 9457) with a stable `code`. Unknown fields and parameters are errors.
""",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SORT_OPERATIONS": True,
    "POSTPROCESSING_HOOKS": ["kb.api.schema.complete"],
}
IDEMPOTENCY_HOURS = 24
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- The index -------------------------------------------------------------------------------------
# Each consumer of the outbox gets its own entry for every change; see incidents/outbox.py.
OUTBOX_CONSUMERS = ["tagger", "database_index", *(["elasticsearch"] if ELASTICSEARCH_URL else [])]
OUTBOX_NUDGE = "kb.tasks.relay"
# Entries claimed by a killed worker wait this long. A worker that is still running renews its lease.
OUTBOX_LEASE = timedelta(seconds=20)
OUTBOX_TRIES = 5

# --- Background work -------------------------------------------------------------------------------
if CELERY_BROKER_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "socket_connect_timeout": 0.5,
        "socket_timeout": 5,
        # A nudge is delivered once and not acknowledged, because the schedule makes up for lost ones: acknowledging one
        # over a connection that was lost in the meantime would stop the worker.
        "ack_emulation": False,
        # A write that cannot send its nudge does not wait: the beat schedule gets the work done.
        "max_retries": 0,
    }
else:
    # Carries only nudges with ids, so it can be emptied at every start.
    _broker = VAR_DIR / "broker"
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "queue"),
        "data_folder_out": str(_broker / "queue"),
        "control_folder": str(_broker / "control"),
        "store_processed": False,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULER = "kb.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "relay": {"task": "kb.tasks.relay", "schedule": 5.0, "options": {"expires": 5}},
    "retag": {"task": "kb.tasks.retag", "schedule": 15.0, "options": {"expires": 15}},
    "check-tags": {"task": "kb.tasks.check_tags", "schedule": crontab(hour="3", minute="23")},
    "audit-index": {"task": "kb.tasks.audit_index", "schedule": crontab(minute="17")},
    "forget-old-requests": {"task": "kb.api.tasks.forget_old_requests", "schedule": crontab(minute="41")},
}

# --- Logs ------------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOG_FORMAT = env.str("LOG_FORMAT", default="console" if EMBEDDED else "json")
from kb.logs import logging_configuration  # noqa: E402  (needs the two settings above)

LOGGING = logging_configuration(level=LOG_LEVEL, style=LOG_FORMAT)
DJANGO_STRUCTLOG_CELERY_ENABLED = True

# --- Traces ----------------------------------------------------------------------------------------
# OpenTelemetry reads the other OTEL_ variables itself.
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", default="precedent")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    MIDDLEWARE.insert(MIDDLEWARE.index("kb.middleware.trusted_proxy") + 1, "kb.tracing.traced")
