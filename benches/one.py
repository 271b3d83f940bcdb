"""`python -m benches.one MODULE RESULT OPTIONS`: one bench, in the environment that it measures."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import django


def main(module: str, result: str, options: str) -> None:
    django.setup()
    figures = importlib.import_module(f"benches.{module}").run(**json.loads(options))
    Path(result).write_text(json.dumps([asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main(*sys.argv[1:])
