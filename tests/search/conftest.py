"""Incidents in bulk, straight into the record, for suites that need many."""
