"""Public outages, curated as files: read, checked, and loaded as incidents of origin famous.

    files      the folder, and one file of it
    rules      what must hold within one file; a file that breaks a rule is not loaded
    together   what must hold between files; asked when files are written, not when they are loaded
    content    a file as the content of an incident, its rows with ids that outlive a changed sentence
    loading    files onto incidents: only what changed is written

The files are the truth: nobody edits these incidents, and a file that is gone archives its incident.
docs/outages.md says how to write one. What files say about patterns is read by those who know patterns.
"""
