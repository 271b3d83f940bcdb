"""`python -m benches.runner MODULE RESULT OPTIONS`: runs one bench and writes its figures as JSON to the file RESULT.

The environment is that of the installation under test. OPTIONS is a JSON object of arguments for the bench.
"""

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
