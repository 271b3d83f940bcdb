"""What we know about the record, and how people and tools reach it: patterns, search, insights, REST, web."""

from kb.celery import app as celery_app

__all__ = ["celery_app"]
