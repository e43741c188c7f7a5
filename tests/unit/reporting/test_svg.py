"""Compact SVG: the same picture, in about half the characters, with nothing that names what it does not hold."""

import io
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
import typst
from PIL import Image

from nli.reporting.figures.style import STYLE
from nli.reporting.figures.svg import compact, short_names


@pytest.fixture
def svg():
    """A figure with letters, a power, rotated labels, markers, a raster image, clipping, and a hostile comment."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
        left.plot([1, 2.123456, 3.1], [0.1, 0.777, 0.3], "o--", label="full fine-tuning -- <!-- x -->")
        left.set_xticks([1, 2, 3], ["one", "$10^{2}$", "three"], rotation=-35)
        left.legend()
        right.imshow(np.arange(9).reshape(3, 3))
        right.set_title("A title, with spaces  inside")
        stream = io.StringIO()
        figure.savefig(stream, format="svg")
        plt.close(figure)
    return stream.getvalue()


def pixels(svg, folder):
    (folder / "picture.svg").write_text(svg)
    page = '#set page(width: auto, height: auto, margin: 0pt)\n#image("picture.svg")'
    (folder / "page.typ").write_text(page)
    shown = Image.open(io.BytesIO(typst.compile(str(folder / "page.typ"), format="png", ppi=144)))
    return np.asarray(shown.convert("L")).astype(int)


def test_the_picture_is_the_same_in_fewer_characters(svg, tmp_path):
    small = compact(svg)
    assert len(small) < 0.65 * len(svg)
    before, after = pixels(svg, tmp_path), pixels(small, tmp_path)
    assert before.shape == after.shape
    assert (before < 250).mean() > 0.05
    assert np.abs(before - after).mean() < 0.3  # of 255; edges differ by a hundredth of a point


def test_every_identifier_is_referred_to_and_every_reference_is_one(svg):
    small = compact(svg)
    ElementTree.fromstring(small)
    names = re.findall(r' id="([^"]+)"', small)
    assert len(names) == len(set(names))
    assert set(names) == set(re.findall(r'href="#([^"]+)"', small)) | set(re.findall(r"url\(#([^)]+)\)", small))


def test_comments_and_descriptions_are_left_out(svg):
    assert "<!--" in svg
    assert "<!--" not in compact(svg)
    assert "<metadata>" not in compact(svg)
    assert "DOCTYPE" not in compact(svg)


def test_short_names_never_end_and_never_repeat():
    names = short_names()
    found = [next(names) for _ in range(3000)]
    assert found[:2] == ["a", "b"]
    assert len(set(found)) == 3000
    assert max(map(len, found)) == 3
