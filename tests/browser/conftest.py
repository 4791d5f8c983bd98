"""A headless Chromium for the pages. Where it is missing, tests are skipped; with HWNAS_REQUIRE_BROWSER=1 they fail."""

import os
import shutil

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --window-size=1280,900"
)


def missing(what):
    if os.environ.get("HWNAS_REQUIRE_BROWSER") == "1":
        pytest.fail(f"HWNAS_REQUIRE_BROWSER=1 is set, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    try:
        from selenium import webdriver
    except ImportError:
        missing("selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    names = ("chromium", "chromium-browser", "google-chrome")
    chromium, driver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing("there is no chromium with its chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    opened = webdriver.Chrome(options, Service(driver))
    opened.set_script_timeout(30)
    yield opened
    opened.quit()


@pytest.fixture
def show(browser, tmp_path):
    """Open a page of a given width and theme; wait until it says that it is ready."""
    from selenium.webdriver.support.ui import WebDriverWait

    def opened(page, *, width=1280, theme="light", ready=True):
        file = tmp_path / "page.html"
        file.write_text(page, encoding="utf-8")
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        set_theme(browser, theme)
        browser.get_log("browser")
        browser.get(file.as_uri())
        if ready:
            WebDriverWait(browser, 30).until(
                lambda b: b.execute_script("return document.documentElement.dataset.ready")
            )
        return browser

    return opened


def set_theme(browser, theme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
