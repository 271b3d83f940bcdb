"""Incident search: the query language, the engines behind one contract, the relay that keeps their indexes in step
with the record, and results that are checked against the record before anyone sees them."""
