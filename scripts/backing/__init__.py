"""The backing services of Precedent: PostgreSQL, Redis and Elasticsearch, for development and tests.

Standard library only, because this runs before any environment exists. A service comes from the first of these that
applies: the server that its variable (`DATABASE_URL`, `CELERY_BROKER_URL`, `ELASTICSEARCH_URL`) already points to, a
container if a Docker engine answers, or a native process from Debian's packages and Maven Central.

Not for production: data is not flushed to disk and passwords are public. That is why everything listens on the
loopback address only.
"""
