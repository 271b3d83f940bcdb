"""The record of incidents and postmortems. Knows nothing about search, patterns, web pages or REST."""
