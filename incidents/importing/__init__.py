"""Bringing postmortems in from files: Markdown with front matter as postmortems.app keeps it, and our own JSON export.

    files        which files there are, and their texts; a file that cannot be taken is named with the reason
    candidates   what a format reads from a file, before anything is known of what is here
    frontmatter  Markdown files with YAML front matter
    documents    the JSON export
    planning     a pure function: for every candidate what is to be done with it
    carrying     doing it, as the system user, one transaction an incident

docs/import.md tells people what happens to what they bring.
"""
