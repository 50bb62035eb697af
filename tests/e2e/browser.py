"""A headless Chromium of its own profile, which asks no server but that of the page it is sent to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = (
    "/usr/bin/chromium",
    "/usr/bin/chromedriver",
)  # Debian's: selenium must not look for a download
_SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
    """One tab. Waits up to `seconds` for what is to come."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def find(self, css: str) -> WebElement:
        """Return the first element, which must be there."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """Return what a person can read there; nothing where it is not there."""
        return "\n".join(one.text for one in self.driver.find_elements(By.CSS_SELECTOR, css))

    def wait(self, what: Callable[[], object], words: str, seconds: float = 60.0) -> None:
        """Wait until something is so."""
        WebDriverWait(self.driver, seconds, poll_frequency=0.1).until(lambda _: what(), words)

    def run(self, script: str, *values: object) -> Any:
        """Run a script in the page, and wait for what it promises."""
        return self.driver.execute_script(script, *values)

    def command(self, name: str, **values: object) -> None:
        """Send a command of the DevTools protocol."""
        self.driver.execute_cdp_cmd(name, values)

    def complaints(self) -> list[str]:
        """Return what the browser's console said: faults of scripts, and breaches of the page's own policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def picture(self, path: Path, width: int, *, scale: float = 1.0) -> None:
        """Write a picture of the whole page as it is at a width."""
        height = self.run("return document.documentElement.scrollHeight")
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 500,
        )  # fmt: skip
        height = self.run("return document.documentElement.scrollHeight")
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 500,
        )  # fmt: skip
        self.driver.save_screenshot(str(path))


@contextmanager
def browser(width: int = 1280, height: int = 1000) -> Iterator[Browser]:
    """Start a browser, and end it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for switch in (*_SWITCHES, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
