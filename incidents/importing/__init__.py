"""Imports postmortems from files: Markdown with front matter in the postmortems.app format, and our own JSON export.

    files        finds the files and reads their text; a file that cannot be read is reported with the reason
    candidates   what a format reads from a file, before it is compared with the incidents here
    frontmatter  reads Markdown files with YAML front matter
    documents    reads the JSON export
    planning     a pure function that decides what to do with each candidate
    execution    carries out the plan, as the system user, one transaction per incident

docs/import.md is the documentation for users.
"""
