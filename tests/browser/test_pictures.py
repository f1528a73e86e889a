"""Pictures of pages: small files that show what the window showed."""

import base64

import pytest
from playwright.sync_api import Browser

from tests.browser.pictures import picture

pytestmark = pytest.mark.slow
COLOURS = "<body style='margin:0;background:linear-gradient(90deg, red, lime, blue)'>"
READ = """async (png) => {
  const drawn = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const canvas = new OffscreenCanvas(drawn.width, drawn.height).getContext("2d");
  canvas.drawImage(drawn, 0, 0);
  return [drawn.width, ...canvas.getImageData(drawn.width / 2, 5, 1, 1).data];
}"""


def test_picture_keeps_size_and_colours(browser: Browser):
    page = browser.new_page(viewport={"width": 600, "height": 200})
    page.set_content(COLOURS)

    png = picture(page, page)
    width, red, green, blue, _ = page.evaluate(READ, base64.b64encode(png).decode())

    assert len(png) < len(page.screenshot())
    assert width == 600
    assert (red < 12, green > 243, blue < 12) == (True, True, True)
    page.close()
