"""Reads YAML values as they are written: dates stay strings, so that no precision is added to them. In untrusted files,
numbers and booleans stay strings too. Otherwise a version 1.10 would become 1.1, a title 12:30:45 would become 45045,
and a company named On would become true."""

from __future__ import annotations

from typing import Any

import yaml


class Unreadable(ValueError):
    """Not YAML, or YAML that is refused as unsafe. The message is one line that says where."""


def _resolvers_without(*kinds: str) -> dict[str, Any]:
    """The rules that give plain scalars their types, without those for these kinds."""
    return {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in kinds]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _UniqueKeys(yaml.constructor.SafeConstructor):
    """Refuses a key that appears twice in one mapping. PyYAML by itself keeps the last one silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value[:60]} appears twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


class _Untrusted(_UniqueKeys, yaml.SafeLoader):
    """For untrusted files: pure Python, because the C parser crashes on deep nesting, and no aliases, because a few
    lines of them can expand to gigabytes."""

    yaml_implicit_resolvers = _resolvers_without("timestamp", "int", "float", "bool")

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases are not supported", mark)
        return super().compose_node(parent, index)


_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Trusted(_UniqueKeys, _Fast):
    """For files that come with the project."""

    yaml_implicit_resolvers = _resolvers_without("timestamp")


def read(text: str, *, trusted: bool = False) -> Any:
    """Parse the text. `trusted` files come with the project and use the fast loader. Raises Unreadable."""
    try:
        return yaml.load(text, _Trusted if trusted else _Untrusted)  # noqa: S506  (both are safe loaders)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise Unreadable(f"{error.problem or error.context}{where}") from error
    except yaml.YAMLError as error:
        raise Unreadable(" ".join(str(error).split())[:200]) from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise Unreadable(str(error)[:200]) from error
