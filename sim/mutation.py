"""Change a module of the shipped code in memory, before it is imported: the checkout stays as it is.

A guard is an `if` whose branch leaves a function or a loop early: a refusal, a veto, a check that ends a plan. One
that is taken out is still evaluated, so that it can be said how often it would have applied.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

ACTUATOR = Path(__file__).parent.parent / "actuator"
FOLDERS = ("decision", "steps", "engine")  # whose guards are taken out
NAMED_BY = "LOCUM_TAKEN_OUT"  # for tests: the place of a guard, or the number of a repair
SEES = "_taken_out_guard_is"  # the name by which a changed module reports what its guard would have said


@dataclass(frozen=True, slots=True)
class Guard:
    """An `if` of the shipped code that leaves early, and where it is."""

    module: str
    function: str
    line: int
    column: int
    end: tuple[int, int]  # of its condition: line and column
    condition: str

    def __str__(self) -> str:
        """Return it in words, for a person."""
        return f"{self.module.removeprefix('locum_actuator.')}.{self.function}: if {self.condition}"

    @property
    def place(self) -> str:
        """Return the name by which it is found again: MODULE:LINE:COLUMN."""
        return f"{self.module}:{self.line}:{self.column}"

    def taken_out(self, source: str) -> str:
        """Return the source with a condition that is evaluated and never true."""
        lines = source.splitlines(keepends=True)
        at, end = _offset(lines, self.line, self.column), _offset(lines, *self.end)
        return f"{source[:at]}{SEES}({source[at:end]}){source[end:]}"


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of a module's source, which it has once, and what is there instead."""

    module: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """Return the changed source."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.module} has this {source.count(self.old)} times, not once: {self.old}")
        return source.replace(self.old, self.new)


@dataclass(slots=True)
class Seen:
    """How often the condition of the guard that was taken out was evaluated, and true."""

    evaluated: int = 0
    true: int = 0

    def __call__(self, condition: object) -> bool:
        """Count, and let the branch not be taken."""
        self.evaluated += 1
        self.true += bool(condition)
        return False


def _offset(lines: Sequence[str], line: int, column: int) -> int:
    """Return the position in the text; ast counts columns in bytes."""
    before = len(lines[line - 1].encode()[:column].decode())
    return sum(len(text) for text in lines[: line - 1]) + before


def guards() -> Iterator[Guard]:
    """Yield the guards of the actuator's decision, steps and engine, in order."""
    for folder in FOLDERS:
        for path in sorted((ACTUATOR / "locum_actuator" / folder).glob("*.py")):
            yield from _guards_of(f"locum_actuator.{folder}.{path.stem}", path.read_text(encoding="utf-8"))


def _guards_of(module: str, source: str) -> Iterator[Guard]:
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for branch in _early_exits(function):
            test = branch.test
            end = (test.end_lineno or test.lineno, test.end_col_offset or test.col_offset)
            condition = " ".join((ast.get_source_segment(source, test) or "").split())
            yield Guard(module, function.name, test.lineno, test.col_offset, end, condition)


def _early_exits(function: ast.FunctionDef) -> Iterator[ast.If]:
    """Yield the branches of a function's own body that leave; those of functions in it are their own."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop(0)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        leaves = isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return | ast.Raise | ast.Continue)
        if isinstance(node, ast.If) and leaves and not node.orelse:
            yield node
        left = [*ast.iter_child_nodes(node), *left]


@dataclass(slots=True)
class _Finder(MetaPathFinder):
    """Finds the modules that are to be changed, before Python does."""

    changes: dict[str, Callable[[str], str]]
    seen: Seen = field(default_factory=Seen)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own specification with a loader that changes the source."""
        if fullname not in self.changes:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, self.changes[fullname], self.seen)
        return spec


class _Loader(SourceFileLoader):
    """Loads a changed source, never a compiled file of the one on the disk."""

    def __init__(self, fullname: str, path: str, change: Callable[[str], str], seen: Seen) -> None:
        super().__init__(fullname, path)
        self._change, self._seen = change, seen

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        return compile(self._change(self.get_data(self.path).decode()), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[SEES] = self._seen
        super().exec_module(module)


def install(what: Guard | Sequence[Edit]) -> Seen:
    """Change what is imported from now on. Raises if a module to be changed was imported already."""
    changes: dict[str, Callable[[str], str]] = {}
    if isinstance(what, Guard):
        changes[what.module] = what.taken_out
    else:
        for edit in what:
            before = changes.get(edit.module, lambda source: source)
            changes[edit.module] = lambda source, edit=edit, before=before: edit.apply(before(source))  # type: ignore[misc]
    if there := sys.modules.keys() & changes.keys():
        raise RuntimeError(f"imported before it could be changed: {', '.join(sorted(there))}")
    finder = _Finder(changes)
    sys.meta_path.insert(0, finder)
    return finder.seen
