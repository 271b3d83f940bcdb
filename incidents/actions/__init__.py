"""Every write to the record. Each action checks permission, changes rows, raises versions, writes the audit entry
and the outbox, in one transaction; nothing else saves a model."""
