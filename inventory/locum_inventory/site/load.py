"""Find the site file and load it, as a `Site` or as the list of all faults in it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from locum_inventory.errors import LocumError
from locum_inventory.site import advice as site_advice
from locum_inventory.site import messages, rules, yaml_positions
from locum_inventory.site.model import Site
from locum_inventory.site.renamed_keys import old_names
from locum_inventory.site.yaml_errors import UnreadableFileError

SITE_FILES = (Path("/etc/locum/locum.yml"), Path("locum.yml"))
SIZE_LIMIT_BYTES = 1 << 20
FAULTS_SHOWN, LINE_LENGTH = (
    100,
    1000,
)  # so that the faults of a file that is not a site file at all fit on a page

_Located = tuple[int, str, str]  # line; dotted key; what is wrong and what to give instead


class SiteError(LocumError):
    """The site file cannot be used; `lines` has one fault each: `locum.yml:12: services.www: ...`."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines: tuple[str, ...] = lines


def find_site(option: str | None) -> Path:
    """Return the path of the site file: the requested one, else /etc/locum/locum.yml, else ./locum.yml.

    The requested one need not exist (`load_site` reports that). Raises `SiteError` if none was requested and
    neither of the others exists.
    """
    if option is not None:
        return Path(option)
    for path in SITE_FILES:
        if path.exists():
            return path
    looked_for = " nor ".join(str(path) for path in SITE_FILES)
    raise SiteError(
        f"no site file: neither {looked_for} exists; name one with --site, or create one with locum init"
    )


def load_site(path: Path) -> Site:
    """Read a site file; raise `SiteError` with all its faults in the order of the lines."""
    return site_from(_read(path), path)


def site_from(text: str, path: Path) -> Site:
    """Return the site that a text describes; faults name it as `path`. Raises the same errors as `load_site`."""
    try:
        tree = yaml_positions.read_tree(text)
    except UnreadableFileError as unreadable:
        raise SiteError(_printable(f"{path}:{unreadable.line}: {unreadable}")) from None
    located: list[_Located] = [(line, messages.where(key), text) for key, line, text in tree.faults]
    if not isinstance(tree.data, dict):
        what = "is empty" if tree.data is None else f"is {messages.shown(tree.data)}"
        located.append(
            (tree.line_of(()), "", f"{what}: a site file is a mapping with hosts, services and so on")
        )
        raise _fault(path, located)
    located += [(tree.line_of(key), messages.where(key), messages.empty(key)) for key in tree.empties()]
    site, faults = _modelled(tree)
    located += faults
    located += [(tree.line_of(key), messages.where(key), text) for key, text in rules.breaches(tree.data)]
    if located or site is None:
        raise _fault(path, located)
    return site


def advice(site: Site) -> tuple[str, ...]:
    """Return the advice on a valid site, one line each."""
    return tuple(site_advice.advice(site))


def conversations(site: Site) -> tuple[str, ...]:
    """Return the bytes that each tcp check sends and expects, so that an administrator can verify them."""
    return tuple(site_advice.conversations(site))


def _modelled(tree: yaml_positions.Tree) -> tuple[Site | None, list[_Located]]:
    try:
        return Site.model_validate(yaml_positions.without_nothing(tree.data)), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    faulted = set(tree.empties()) | {key for key, _, _ in tree.faults}
    located: list[_Located] = []
    for error in errors:
        key = _existing(tree, error["loc"], missing=error["type"] == "missing")
        if key not in faulted and not _follows_from_another(error) and not _has_old_name(tree, error, key):
            located.append((tree.line_of(key), messages.where(key), messages.in_words(error, key)))
    return None, located


def _follows_from_another(error: ErrorDetails) -> bool:
    """Return whether an error is only a consequence of another one."""
    if error["type"] == "too_short":  # pydantic does not count items that are invalid themselves
        return len(error["input"]) >= int(error["ctx"]["min_length"])
    # Their default, the actuator's host, is missing only if that itself is missing.
    return error["type"] == "missing" and error["loc"] == ("vantage_points",)


def _has_old_name(tree: yaml_positions.Tree, error: ErrorDetails, key: yaml_positions.Path) -> bool:
    """Return whether a key is missing only because the file gives it under its former name."""
    return error["type"] == "missing" and any(old in tree.lines for old in old_names(key))


def _existing(
    tree: yaml_positions.Tree, location: yaml_positions.Path, *, missing: bool
) -> yaml_positions.Path:
    """Return the part of pydantic's location that exists in the file; a missing key is located at its parent.

    Steps that pydantic adds ("[key]" for a mapping's key) and steps that only the model has (one interface for all
    hosts, one fence device in place of a list) are left out.
    """
    last = (location[-1],) if missing else ()
    path: yaml_positions.Path = ()
    for step in location[: len(location) - len(last)]:
        if (*path, step) in tree.lines:
            path = (*path, step)
        elif not isinstance(step, int):
            break
    return (*path, *last)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT_BYTES + 1)
    except OSError as error:
        raise SiteError(_printable(f"{path}: cannot be read: {error.strerror or error}")) from None
    except ValueError as error:  # a NUL in the name
        raise SiteError(_printable(f"{path}: cannot be read: {error}")) from None
    if len(content) > SIZE_LIMIT_BYTES:
        raise SiteError(
            _printable(f"{path}: is larger than {SIZE_LIMIT_BYTES} bytes: this is not a site file")
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SiteError(_printable(f"{path}:{line}: is not UTF-8 text")) from None


def _fault(path: Path, located: list[_Located]) -> SiteError:
    in_order = list(dict.fromkeys(sorted(located, key=lambda one: one[0])))
    lines = [
        _printable(f"{path}:{line}: {key}: {text}" if key else f"{path}:{line}: {text}")
        for line, key, text in in_order[:FAULTS_SHOWN]
    ]
    if len(in_order) > FAULTS_SHOWN:
        lines.append(_printable(f"{path}: and {len(in_order) - FAULTS_SHOWN} more faults"))
    return SiteError(*lines)


def _printable(line: str) -> str:
    """Escape line breaks and terminal control characters in text from a file."""
    if len(line) > LINE_LENGTH:
        line = f"{line[: LINE_LENGTH - 3]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
