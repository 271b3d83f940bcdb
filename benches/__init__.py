"""Benchmarks on a generated corpus, run by `make bench`. docs/performance.md explains the output."""
