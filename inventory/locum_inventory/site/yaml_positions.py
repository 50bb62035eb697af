"""Read a YAML text into plain values and the line number of each.

Scalars stay text as written: `expect: 220`, `name: on` and `12:30` are not converted, because the model knows
whether a number, a word or an address belongs there, and YAML would only guess. A bare `key:` is None. Anchors,
aliases and `<<` work; depth and size are limited, so that aliases cannot expand without bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from locum_inventory.site.payload import quoted
from locum_inventory.site.yaml_errors import UnreadableFileError, in_plain_words

KeyPath = tuple[str | int, ...]

DEPTH_LIMIT = 16
VALUES_LIMIT = 50_000

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "timestamp", "value"))


class Fault(NamedTuple):
    """Something wrong in the file: the line, the key's path, and what is wrong and what to give instead."""

    line: int
    path: KeyPath
    text: str


@dataclass(slots=True)
class Tree:
    """Plain values (dict, list, str, None), the line of each, and the faults found while reading."""

    text: str = ""
    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def locate(self, path: KeyPath, text: str) -> Fault:
        """Return a fault of a value, on its line or on that of the nearest enclosing one that has a line."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return Fault(self.lines.get(known, 1), path, text)

    def empties(self) -> list[KeyPath]:
        """Return the paths of keys and list items that have no value."""
        found: list[KeyPath] = []
        unreadable = {fault.path for fault in self.faults}

        def walk(value: Any, path: KeyPath) -> None:
            if value is None and path not in unreadable:
                found.append(path)
            for key, item in _items(value):
                walk(item, (*path, key))

        walk(self.data, ())
        return found


def read_tree(text: str) -> Tree:
    """Read one YAML document; raise `UnreadableFileError` if the text is not one."""
    loader: _BoundedLoader | None = None
    try:
        loader = _BoundedLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise in_plain_words(error) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableFileError(
            line, f"contains a character that YAML does not allow (#x{error.character:02x})"
        ) from None
    except (ValueError, OverflowError, RecursionError):  # numbers that PyYAML cannot convert
        raise UnreadableFileError(
            loader.line + 1 if loader else 1, "cannot be read as YAML: a number is too large"
        ) from None
    tree = Tree(text)
    if node is not None:
        tree.lines[()] = _line(node)
        tree.data = _Planter(tree).plant(node, ())
    return tree


def without_nothing(value: Any) -> Any:
    """Return a copy without the keys and list items that have no value."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nothing(item) for item in value if item is not None]
    return value


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _BoundedLoader(yaml.SafeLoader):
    """A loader with limits on depth and size: plain PyYAML recurses until Python's stack overflows."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.nodes += 1
        if self.nodes > 2 * VALUES_LIMIT:  # a key is a node too
            raise UnreadableFileError(
                self.line + 1, f"contains more than {VALUES_LIMIT} values: this is not a site file"
            )
        if self.depth > DEPTH_LIMIT:
            raise UnreadableFileError(self.line + 1, f"nests deeper than {DEPTH_LIMIT} levels")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Planter:
    """Converts nodes to plain values and counts them, because aliases can multiply."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.values = 0
        self.depth = 0  # not the length of the path: a '<<' nests deeper without adding to it

    def plant(self, node: yaml.Node, path: KeyPath) -> Any:
        self.values += 1
        if self.values > VALUES_LIMIT or self.depth > DEPTH_LIMIT:
            raise UnreadableFileError(_line(node), "expands without limit through its aliases (*name)")
        self.depth += 1
        try:
            return self._plant(node, path)
        finally:
            self.depth -= 1

    def _plant(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._planted(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null":
            return None
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALAR_TAGS | {f"{_TAG}merge"}:
            source = self.tree.text[node.start_mark.index : node.end_mark.index]
            return quoted(str(node.value), source) if node.style == '"' else str(node.value)
        self.fault(
            path, node, f"has the YAML tag {_short(node.tag)}, which is not supported: leave the tag out"
        )
        return None

    def fault(self, path: KeyPath, node: yaml.Node, text: str) -> None:
        self.tree.faults.append(Fault(_line(node), path, text))

    def _planted(self, node: yaml.Node, path: KeyPath) -> Any:
        self.tree.lines[path] = _line(node)
        return self.plant(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged = {**self._merged(value_node, path), **merged}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                what = "a list or a mapping (a template's {{ }} not filled in?)"
                self.fault(path, key_node, f"has a key that is itself {what}: a key is one word")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in own:
                first = self.tree.lines[here]
                self.fault(here, key_node, f"is given twice, first on line {first}: keep one of them")
                continue
            # The line of a value is the line of its key, where a person looks for it; a block begins below it.
            self.tree.lines[here] = _line(key_node)
            own[key] = self.plant(value_node, here)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for source in sources:
            planted = self.plant(source, path)
            if not isinstance(planted, dict):
                self.fault(path, node, "has a '<<' that does not name a mapping")
                continue
            found = {**planted, **found}
        return found


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
