"""The database engine: SQLite FTS5 or PostgreSQL tsvector, maintained in every mode.

Both are fed the same stems, so the same documents match on both; each ranks them in its own way.
"""

CONSUMER = "database_index"
