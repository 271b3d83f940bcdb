"""How fast it is, on a generated corpus: `make bench`. docs/performance.md shows how to read what it prints."""
