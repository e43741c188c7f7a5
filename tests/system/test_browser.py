"""The HTML report in a real browser: axe-core's findings, nothing wider than the page, no message, no request."""

import json
from urllib.parse import urlparse

import pytest
from conftest import ROOT
from system.browser import SITE, open_page
from unit.report_fixtures import make_results

from nli.reporting import render as report
from nli.reporting.figures.registry import make_figures
from nli.reporting.results import load_results
from nli.reporting.tables.registry import make_tables

WIDTHS = {1280: 900, 390: 844}  # CSS pixels: a laptop and a phone, with their heights
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report on realistic random results of the core study."""
    folder = make_results(tmp_path_factory.mktemp("browser"), n=60)
    paths = ("study.json", ROOT / "report/reported.yaml", "data/description.json", "report/ladders.json")
    results = load_results(folder, *(folder / path for path in paths))
    make_tables(results, folder / "report/tables")
    make_figures(results, folder / "report/figures")
    study = report.assemble(ROOT / "report", folder / "report", folder / "build")
    report.render(study, folder / "report.html", folder / "report.pdf")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browse(page):
    """Open the report at a width and in a colour scheme; returns Chromium's driver."""
    drivers = []

    def browse(width: int = 1280, scheme: str = "light", scripts: bool = True):
        drivers.append(open_page(page, width, WIDTHS[width], scheme, scripts))
        return drivers[-1]

    yield browse
    for driver in drivers:
        driver.quit()


def requests(driver) -> list[str]:
    """The addresses that the page asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_accessible_fits_and_is_silent(page, browse, width, scheme):
    driver = browse(width, scheme)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert [address for address in requests(driver) if urlparse(address).scheme != "data"] == [page.as_uri()]
    driver.execute_script((SITE / "axe_playwright_python/axe.min.js").read_text())
    found = driver.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 20
    assert [(rule["id"], rule["impact"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert driver.get_log("browser") == []


def test_a_phone_shows_the_notice_before_the_folded_contents(browse):
    driver = browse(390)
    parts = (".scale-notice", "#contents", "#sec-findings")
    places = [driver.find_element("css selector", part).rect for part in parts]
    assert [place["y"] for place in places] == sorted(place["y"] for place in places)
    assert places[1]["height"] < 60
    driver.find_element("css selector", "#contents summary").click()
    assert driver.find_element("css selector", "#contents li a").is_displayed()


def test_dark_mode_darkens_page_and_figures(browse):
    driver = browse(1280, "dark")
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert driver.execute_script(script, "body", "backgroundColor") == "rgb(20, 20, 20)"
    assert "invert" in driver.execute_script(script, "#fig-accuracy img", "filter")


COLUMN = "return [...document.querySelectorAll('#tbl-all-results tbody tr')].map(r => r.hidden ? '' : r.innerText)"


def test_a_table_sorts_within_its_families_and_filters(browse):
    driver = browse()
    before = driver.execute_script(COLUMN)
    heads = driver.find_elements("css selector", "#tbl-all-results thead tr:last-child th button")
    accuracy = next(head for head in heads if head.text == "all")
    orders = []
    for _ in range(3):
        accuracy.click()
        orders.append(driver.execute_script(COLUMN))
    assert sorted(orders[0]) == sorted(before)
    assert orders[0] != before == orders[2]
    families = [row for row in before if "\t" not in row]
    assert [row for row in orders[0] if "\t" not in row] == families
    for order, sign in zip(orders[:2], (1, -1), strict=True):
        last = order[order.index(families[-2]) + 1 : order.index(families[-1])]
        values = [sign * float(row.split("\t")[2]) for row in last]
        assert len(values) > 3
        assert values == sorted(values)
    driver.find_element("css selector", "#tbl-all-results .filter input").send_keys("Attempt 2")
    shown = [row for row in driver.execute_script(COLUMN) if row]
    assert shown == [row for row in before if "Attempt 2" in row or row.endswith("QLoRA")]


def test_without_scripts_the_page_says_the_same(page, browse):
    script = "return [...document.querySelectorAll('main table')].map(t => t.textContent)"
    plain = browse(scripts=False)
    plain.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    tables = plain.execute_script(script)
    assert len(tables) > 20
    assert not plain.find_elements("css selector", "th button")
    assert plain.find_element("css selector", "#contents li a").rect["height"] > 10  # beside the text
    assert browse().execute_script(script) == tables


def test_the_page_is_one_file_of_moderate_size(page):
    assert page.stat().st_size < MOST_BYTES
