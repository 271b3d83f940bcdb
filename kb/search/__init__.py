"""Finding incidents: the query language, the engines behind one contract, the relay that keeps them true, the
results."""
