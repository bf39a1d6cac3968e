"""Pictures of layouts: every block is drawn to scale, once, in the colour of its place."""

import xml.etree.ElementTree as ElementTree

import crosspy as xp
import numpy as np
import pytest
from parla import cpu, gpu


def rectangles(layout):
    root = ElementTree.fromstring(layout.svg())
    return root, [(rect, rect.find("title").text) for rect in root.findall("rect")]


def area(rect):
    return float(rect.get("width")) * float(rect.get("height"))


@pytest.mark.parametrize(
    "layout",
    [
        xp.Grid((100, 60), blocks=(4, 3), devices=[gpu(0), gpu(1)]),
        xp.BlockCyclic((64, 64), block=(16, 8), grid=(2, 2), devices=[(r, cpu) for r in range(4)]),
        xp.Split((50,), devices=[gpu(i) for i in range(3)]),
    ],
    ids=["grid", "cyclic", "split"],
)
def test_blocks_cover_the_picture(layout):
    root, drawn = rectangles(layout)
    assert len(drawn) == layout.n_blocks
    width, height = (float(root.get(side)) - 2 for side in ("width", "height"))
    assert sum(area(rect) for rect, _ in drawn) == pytest.approx(width * height, rel=0.05)
    assert len({rect.get("fill") for rect, _ in drawn}) == len(layout.places)
    for rect, title in drawn:
        assert float(rect.get("x")) >= 0
        assert "block (" in title
        assert any(str(place) in title for place in layout.places)
    total = sum(area(rect) for rect, _ in drawn)
    for i_block, (rect, _) in enumerate(drawn):
        assert area(rect) / total == pytest.approx(np.prod(layout.box(i_block)[1]) / layout.size, rel=0.02)


def test_pages_show_the_legend():
    layout = xp.Grid((10, 10), blocks=(2, 2), devices=[gpu(0), gpu(1)])
    page = layout._repr_html_()
    assert page.count("of 100 elements") == 2
    assert "gpu[1]" in page
    assert "<svg" in page


def test_planes_and_points():
    root, drawn = rectangles(xp.Grid((4, 4, 6), blocks=(2, 2, 3), devices=[gpu(0)]))
    assert len(drawn) == 4, "the first plane"
    assert rectangles(xp.Grid((), blocks=(), devices=[cpu]))[0] is not None
