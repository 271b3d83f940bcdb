"""Tests of search. Their shared fixtures are in tests/conftest.py, and the corpus of incidents is in corpus.py."""
