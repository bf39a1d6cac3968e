"""The timeline page in a real browser: headless Chromium, driven through its WebDriver. Skipped where there is none."""

import os
import shutil

import numpy as np
import pytest
from trace_builder import Builder

from parla.trace import Recorded, read, write_timeline

webdriver = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

LINE = 15  # height of a line of the page, as in timeline.js


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,800"):
        options.add_argument(word)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # no sanitizer in the browser
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver, env=plain))
    yield made
    made.quit()


def opened(browser, page):
    browser.get(f"file://{page}")
    WebDriverWait(browser, 60).until(lambda b: b.execute_script("return document.documentElement.dataset.ready") == "true")


def shown(browser, tmp_path, builder, title="a run"):
    """Open the page of a trace, and wait until it is drawn."""
    page = tmp_path / "run.html"
    write_timeline(read(builder.write(tmp_path / "trace.json")), page, title)
    opened(browser, page)


def run(browser, text):
    return browser.execute_script(f"const {{ state, columns, data, draw, show, search, select, x, y }} = timeline; {text}")


def small():
    trace = Builder()
    trace.span("worker 0", "first </script> & <b>", 0, 100, task=1)
    trace.span("worker 0", "second", 150, 400, task=2)
    trace.span("worker 1", "third", 400, 1000, task=3)
    trace.span("worker 1", "array", 410, 420, kind="copy", device=1, bytes=4096)
    trace.after(2, 1)
    trace.after(3, 2)
    return trace


def test_everything_is_drawn(browser, tmp_path):
    shown(browser, tmp_path, small(), title="<i>run</i>")
    assert browser.find_element("css selector", "h1").text == "<i>run</i>"
    assert "4 spans, 1 ms" in browser.find_element("id", "summary").text
    assert run(browser, "draw(); return state.drawn") == 4
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_search_finds_names(browser, tmp_path):
    shown(browser, tmp_path, small())
    box = browser.find_element("id", "search")
    box.send_keys("</SCRIPT>")
    assert browser.find_element("id", "matches").text == "1 found"
    box.send_keys(Keys.ENTER)
    assert browser.find_element("id", "matches").text == "1 of 1"
    assert "first </script> & <b>: task on rank 0, worker 0" in browser.find_element("id", "detail").text


def click(browser, trace_us, row):
    """Click on a span of a row at a time."""
    at = run(browser, f"return [x({trace_us}), y({row}, 0)]")
    canvas = browser.find_element("id", "canvas")
    size = canvas.size
    action = webdriver.ActionChains(browser)
    action.move_to_element_with_offset(canvas, at[0] - size["width"] / 2, at[1] + LINE / 2 - size["height"] / 2).click().perform()


def test_a_click_tells_of_a_task_and_arrow_keys_follow_its_dependencies(browser, tmp_path):
    shown(browser, tmp_path, small())
    click(browser, 300, 0)
    detail = browser.find_element("id", "detail")
    assert "second: task on rank 0, worker 0, begins at 150 µs, takes 250 µs, after 1 tasks, before 1" in detail.text
    body = browser.find_element("tag name", "body")
    body.send_keys(Keys.ARROW_LEFT)
    assert detail.text.startswith("first")
    body.send_keys(Keys.ARROW_RIGHT)
    body.send_keys(Keys.ARROW_RIGHT)
    assert detail.text.startswith("third")
    body.send_keys(Keys.ESCAPE)
    assert detail.text == ""


def test_a_copy_tells_its_bytes(browser, tmp_path):
    shown(browser, tmp_path, small())
    run(browser, "select(data.kinds ? columns.kind.indexOf(data.kinds.indexOf('copy')) : -1)")
    assert "4 KiB (0.41 GB/s)" in browser.find_element("id", "detail").text


def test_zoom_and_back(browser, tmp_path):
    shown(browser, tmp_path, small())
    whole = run(browser, "return [state.begin, state.end]")
    body = browser.find_element("tag name", "body")
    for _ in range(5):
        body.send_keys("w")
    near = run(browser, "return [state.begin, state.end]")
    assert near[1] - near[0] < 0.2 * (whole[1] - whole[0])
    body.send_keys("d")
    assert run(browser, "return state.begin") > near[0]
    body.send_keys("0")
    assert run(browser, "return [state.begin, state.end]") == pytest.approx(whole)


@pytest.mark.stress
def test_a_million_spans_cost_no_more_than_their_pixels(browser, tmp_path):
    n_lines, n_spans = 8, 125_000
    n = n_lines * n_spans
    i = np.arange(n)
    begin = 10.0 * (i % n_spans)
    zeros = np.zeros(n, dtype=np.int64)
    columns = (i % 50, zeros, zeros, i // n_spans, begin, begin + 7, i, zeros, zeros)
    lines = {(0, line): f"worker {line}" for line in range(n_lines)}
    trace = Recorded([f"task {k}" for k in range(50)], *columns, lines, n, np.stack([i[:-1], i[1:]], axis=1), 0)
    page = tmp_path / "run.html"
    write_timeline(trace, page, "a million")
    opened(browser, page)
    assert "1,000,000 spans" in browser.find_element("id", "summary").text
    for first, last in ((0, 10 * n_spans), (0, 5 * n_spans), (1000, 9000), (5000, 5100)):
        drawn = run(browser, f"show({first}, {last}); draw(); return state.drawn")
        in_view = n_lines * min(n_spans, (last - first) / 10)
        assert min(in_view, 1000) <= drawn <= n_lines * 1200 * 1.1
    run(browser, "search('task 49')")
    assert browser.find_element("id", "matches").text == f"{n // 50} found"
