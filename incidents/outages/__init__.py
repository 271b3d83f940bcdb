"""Famous outages, curated as files: read, checked, and loaded as incidents of origin famous.

    files         the folder of outages, and reading one file
    rules         what must hold within one file; a file that breaks a rule is not loaded
    cross_checks  what must hold between files; checked when files are written, not when they are loaded
    content       a file as the content of an incident, with row ids that survive a changed sentence
    loading       writes files to incidents; only what changed is written

The files are the source of truth: these incidents cannot be edited, and removing a file archives its incident.
docs/outages.md says how to write one. The patterns in a file are loaded by kb/patterns/curation.py, not here.
"""
