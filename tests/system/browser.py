"""Chromium, driven by Selenium, on a page of this machine."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SITE = ROOT / ".cache/browser"  # made by install_browser.sh


def open_page(page: Path, width: int, height: int, scheme: str = "light", scripts: bool = True) -> Any:
    """Open an HTML file; returns Chromium's driver, which the caller quits.

    Args:
        width, height: of the window, in CSS pixels; below 500 it is a phone's.
        scheme: "light" or "dark".
        scripts: whether the page's scripts run.

    Raises:
        RuntimeError: no browser is installed.
    """
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs) or not SITE.is_dir():
        raise RuntimeError("no browser here; tests/system/install_browser.sh installs it")
    if str(SITE) not in sys.path:
        sys.path.append(str(SITE))
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium has no sandbox for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    try:
        show(driver, page, width, height, scheme, scripts)
    except BaseException:
        driver.quit()
        raise
    return driver


def show(driver: Any, page: Path, width: int, height: int, scheme: str, scripts: bool) -> None:
    """Let the driver open the page in a window as `open_page` describes it."""
    driver.set_script_timeout(300)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    driver.get(page.resolve().as_uri())
