"""Tests that start, stop, package and check Precedent for real."""
