"""Whatever a site file holds, the answer is a site or a `SiteError` of printable lines, and soon."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from locum_inventory.shared_files import EXAMPLE, shared
from locum_inventory.site.load import SiteError, advice, load_site

EXAMPLE_TEXT = shared(EXAMPLE).read_text(encoding="utf-8")
# Short, so that a mutation hits something that matters, not a comment.
TREE = yaml.safe_load(EXAMPLE_TEXT)
ESSENCE = yaml.safe_dump(TREE, sort_keys=False)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.ip_addresses().map(str)
)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


def answers(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "locum.yml"
        file.write_bytes(content)
        try:
            lines = advice(load_site(file))
        except SiteError as fault:
            lines = fault.lines or ("",)
        assert all(line.isprintable() and line for line in lines)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes(content: bytes) -> None:
    answers(content)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_example_with_a_piece_replaced(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(ESSENCE)))
    end = data.draw(st.integers(start, min(len(ESSENCE), start + 30)))
    piece = data.draw(st.text(alphabet="{}[]:,-#&*!|>'\"%@` \n\tab01./~<", max_size=12))
    answers((ESSENCE[:start] + piece + ESSENCE[end:]).encode())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_example_with_another_value_somewhere(data: st.DataObject) -> None:
    tree = deepcopy(TREE)
    place = tree
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(plain)
        break
    text = yaml.dump(tree, Dumper=yaml.CSafeDumper, allow_unicode=data.draw(st.booleans()))
    answers(text.encode("utf-8", "replace"))
