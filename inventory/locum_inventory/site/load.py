"""Find the site file and load it, as a `Site` or as the list of all faults in it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from locum_inventory.errors import LocumError
from locum_inventory.site import advice as site_advice
from locum_inventory.site import messages, rules
from locum_inventory.site.model import Site
from locum_inventory.site.renamed_keys import old_names
from locum_inventory.site.yaml_errors import UnreadableFileError
from locum_inventory.site.yaml_positions import Fault, KeyPath, Tree, read_tree, without_nothing

SITE_FILES = (Path("/etc/locum/locum.yml"), Path("locum.yml"))
SIZE_LIMIT_BYTES = 1 << 20
# So that the faults of a file that is not a site file at all fit on a page.
FAULTS_SHOWN, LINE_LENGTH = 100, 1000


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
        tree = read_tree(text)
    except UnreadableFileError as unreadable:
        raise SiteError(_printable(f"{path}:{unreadable.line}: {unreadable}")) from None
    if not isinstance(tree.data, dict):
        what = "is empty" if tree.data is None else f"is {messages.shown(tree.data)}"
        whole = tree.locate((), f"{what}: a site file is a mapping with hosts, services and so on")
        raise _error(path, [*tree.faults, whole])
    faults = [*tree.faults, *(tree.locate(key, messages.empty(key)) for key in tree.empties())]
    site, invalid = _modelled(tree, {fault.path for fault in faults})
    faults += [*invalid, *(tree.locate(key, text) for key, text in rules.breaches(tree.data))]
    if faults or site is None:
        raise _error(path, faults)
    return site


def advice(site: Site) -> tuple[str, ...]:
    """Return the advice on a valid site, one line each."""
    return tuple(site_advice.advice(site))


def conversations(site: Site) -> tuple[str, ...]:
    """Return the bytes that each tcp check sends and expects, so that an administrator can verify them."""
    return tuple(site_advice.conversations(site))


def _modelled(tree: Tree, faulted: set[KeyPath]) -> tuple[Site | None, list[Fault]]:
    """Return the site, or None and what the model finds wrong; the faults of `faulted` keys are known already."""
    try:
        return Site.model_validate(without_nothing(tree.data)), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    found: list[Fault] = []
    for error in errors:
        key = _existing(tree, error["loc"], missing=error["type"] == "missing")
        if key not in faulted and not _follows_from_another(error) and not _has_old_name(tree, error, key):
            found.append(tree.locate(key, messages.in_words(error, key)))
    return None, found


def _follows_from_another(error: ErrorDetails) -> bool:
    """Return whether an error is only a consequence of another one."""
    if error["type"] == "too_short":  # pydantic does not count items that are invalid themselves
        return len(error["input"]) >= int(error["ctx"]["min_length"])
    # Their default, the actuator's host, is missing only if that itself is missing.
    return error["type"] == "missing" and error["loc"] == ("vantage_points",)


def _has_old_name(tree: Tree, error: ErrorDetails, key: KeyPath) -> bool:
    """Return whether a key is missing only because the file gives it under its former name."""
    return error["type"] == "missing" and any(old in tree.lines for old in old_names(key))


def _existing(tree: Tree, location: KeyPath, *, missing: bool) -> KeyPath:
    """Return the part of pydantic's location that exists in the file; a missing key is located at its parent.

    Steps that pydantic adds ("[key]" for a mapping's key) and steps that only the model has (one interface for all
    hosts, one fence device in place of a list) are left out.
    """
    last = (location[-1],) if missing else ()
    path: KeyPath = ()
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


def _error(path: Path, faults: list[Fault]) -> SiteError:
    lines = list(dict.fromkeys(_line(path, fault) for fault in sorted(faults, key=lambda fault: fault.line)))
    if len(lines) > FAULTS_SHOWN:
        lines[FAULTS_SHOWN:] = [_printable(f"{path}: and {len(lines) - FAULTS_SHOWN} more faults")]
    return SiteError(*lines)


def _line(path: Path, fault: Fault) -> str:
    key = messages.where(fault.path)
    return _printable(
        f"{path}:{fault.line}: {key}: {fault.text}" if key else f"{path}:{fault.line}: {fault.text}"
    )


def _printable(line: str) -> str:
    """Escape line breaks and terminal control characters in text from a file."""
    if len(line) > LINE_LENGTH:
        line = f"{line[: LINE_LENGTH - 3]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
