"""Executes a Dockerfile without a Docker engine: RUN, COPY and ENV for real, in a folder instead of /.

Absolute paths of the image are moved below that folder. Steps that would change this machine (accounts) are skipped.
Packages come from the environment that runs the tests instead of the network.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path

# The image's own folders. Everything else, such as /bin/sh, comes from this machine.
MOVED = ("/app", "/opt/venv", "/tmp", "/var/lib/precedent")


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str

    @property
    def words(self) -> list[str]:
        """The list in exec form, or the text split as a shell would."""
        if self.text.startswith("["):
            found: list[str] = json.loads(self.text)
            return found
        return shlex.split(self.text)


@dataclass
class Stage:
    """One FROM and its instructions; after `carry_out`, also the resulting state of the image."""

    name: str
    base: str
    instructions: list[Instruction]
    root: Path = Path()
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"

    def last(self, word: str) -> Instruction:
        return [instruction for instruction in self.instructions if instruction.word == word][-1]

    def inside(self, text: str) -> str:
        """The text with the image's paths rewritten to lie below our root."""
        return re.sub(rf"(?<![\w.])({'|'.join(MOVED)})(?![\w.-])", rf"{self.root}\1", text)

    def environ(self) -> dict[str, str]:
        outside = {"PATH": os.environ["PATH"], "HOME": str(self.root), "LANG": "C.UTF-8"}
        for key, value in self.env.items():
            outside[key] = self.inside(value.replace("$PATH", outside.get(key, "")))
        return outside


def parse(text: str) -> list[Stage]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name or "final", base, []))
        else:
            stages[-1].instructions.append(Instruction(word, rest.strip()))
    return stages


def carry_out(stage: Stage, *, context: Path, earlier: dict[str, Stage], root: Path, packages: Path) -> None:
    """Execute a stage below `root`. `packages` is a site-packages folder with what `pip install` would fetch."""
    stage.root = root
    for path in MOVED:
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for instruction in stage.instructions:
        if instruction.word == "ENV":
            stage.env |= dict(word.split("=", 1) for word in instruction.words)
        elif instruction.word == "WORKDIR":
            stage.folder = instruction.text
        elif instruction.word == "COPY":
            _copy(stage, instruction.words, context, earlier)
        elif instruction.word == "RUN":
            _run(stage, instruction.text, packages)


def _copy(stage: Stage, words: list[str], context: Path, earlier: dict[str, Stage]) -> None:
    options = [word for word in words if word.startswith("--")]
    *sources, target = [word for word in words if not word.startswith("--")]
    origin = next((earlier[option.removeprefix("--from=")].root for option in options), context)
    folder = Path(stage.inside(f"{stage.folder}/{target}" if target.startswith(".") else target))
    leave = shutil.ignore_patterns("__pycache__")
    for source in sources:
        path = origin / source.lstrip("/")
        if path.is_dir():
            # COPY copies a folder's contents, not the folder itself.
            shutil.copytree(path, folder, symlinks=True, dirs_exist_ok=True, ignore=leave)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)


def _run(stage: Stage, command: str, packages: Path) -> None:
    if command.startswith("groupadd"):
        return
    # Without an index, pip fails at once if the environment lacks a package that the image would install.
    command = re.sub(r"^pip (.*)install ", r"pip \1install --no-index ", command)
    done = subprocess.run(
        ["/bin/sh", "-c", stage.inside(command)],
        cwd=stage.inside(stage.folder),
        env=stage.environ(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"RUN {command}\n{done.stdout}{done.stderr}"
    if " -m venv " in command:
        _install(stage.root / "opt/venv", packages)


def _install(venv: Path, packages: Path) -> None:
    """Make the packages and their console scripts available in the venv, as an installer would."""
    library = next((venv / "lib").glob("python3.*/site-packages"))
    (library / "packages.pth").write_text(f"{packages}\n")
    for entry in entry_points(group="console_scripts"):
        script = venv / "bin" / entry.name
        if not script.exists():
            call = f"import sys; from {entry.module} import {entry.attr.partition('.')[0]}; sys.exit({entry.attr}())"
            script.write_text(f"#!{venv}/bin/python\n{call}\n")
            script.chmod(0o755)
