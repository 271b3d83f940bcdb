"""The database engine: SQLite FTS5 or PostgreSQL tsvector, maintained in every mode.

Both are fed with the same stems, so that what matches is equal on both; how they rank is each one's own.
"""
