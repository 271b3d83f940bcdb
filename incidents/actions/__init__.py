"""Every write to the record. Each action checks permission, changes rows, raises versions, and writes the audit entry
and the outbox entries, in one transaction; nothing else saves a model."""
