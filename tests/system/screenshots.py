"""Pictures of a report for docs/: python tests/system/screenshots.py REPORT.html FOLDER"""

import io
import sys
from pathlib import Path

from browser import open_page
from PIL import Image

WIDTH, HEIGHT = 1180, 1560  # CSS pixels
COLOURS = 64  # enough for text and flat figures, at a fifth of the bytes
PICTURES = {"report.png": None, "report-ladders.png": "sec-ladders", "report-comparison.png": "sec-comparison"}


def main(page: Path, folder: Path) -> None:
    """Write a picture of the window with the top of the page, and with each section, at the window's top."""
    if not page.is_file():
        sys.exit(f"error: {page}: no such report; make demo makes it")
    driver = open_page(page, WIDTH, HEIGHT)
    try:
        for name, section in PICTURES.items():
            if section:
                driver.execute_script("document.getElementById(arguments[0]).scrollIntoView()", section)
            picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
            picture.quantize(COLOURS).save(folder / name, optimize=True)
            print(folder / name)
    finally:
        driver.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
