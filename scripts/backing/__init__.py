"""The backing services of Precedent: PostgreSQL, Redis and Elasticsearch, for development and tests.

Standard library only, because this runs before any environment exists. A service is, in this order: what its
variable (`DATABASE_URL`, `CELERY_BROKER_URL`, `ELASTICSEARCH_URL`) already points to, a container when a
Docker engine answers, or a native process from Debian's packages and Maven Central. Not for production: data
is not flushed to disk and passwords are public, which is why only the loopback address is listened on.
"""
