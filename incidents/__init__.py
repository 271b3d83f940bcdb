"""What happened: the record of incidents and postmortems. Knows nothing of search, patterns, web or REST."""
