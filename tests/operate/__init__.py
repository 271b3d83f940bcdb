"""How Precedent is started, stopped, packaged and checked, by doing it."""
