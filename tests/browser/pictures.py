"""Pictures of pages as small PNG files: at most 256 colours, chosen in the browser that drew them."""

import base64
import struct
import zlib

from playwright.sync_api import Page

SIGNATURE = b"\x89PNG\r\n\x1a\n"

REDUCE = """async (png) => {
  const picture = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const data = canvas.getImageData(0, 0, width, height).data;
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = data[at] << 16 | data[at + 1] << 8 | data[at + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const parts = (colour) => [colour >> 16, colour >> 8 & 255, colour & 255];
  const apart = (one, other) => one.reduce((sum, value, at) => sum + (value - other[at]) ** 2, 0);
  const common = [...counts].sort((one, other) => other[1] - one[1]).map(([colour]) => parts(colour));
  // The most frequent colours, but none that hardly differs from one taken already.
  let palette = [], near = 16;
  do {
    palette = [];
    for (const colour of common.slice(0, 4000)) {
      if (palette.length > 256) break;
      if (palette.every((taken) => apart(taken, colour) > near)) palette.push(colour);
    }
    near *= 2;
  } while (palette.length > 256);
  const nearest = new Map();
  const find = (colour) => {
    let best = 0, least = Infinity;
    palette.forEach((taken, at) => {
      const distance = apart(taken, parts(colour));
      if (distance < least) [best, least] = [at, distance];
    });
    nearest.set(colour, best);
    return best;
  };
  const indexes = new Uint8Array(width * height);
  for (let at = 0; at < data.length; at += 4) {
    const colour = data[at] << 16 | data[at + 1] << 8 | data[at + 2];
    indexes[at / 4] = nearest.get(colour) ?? find(colour);
  }
  let text = "";
  for (let at = 0; at < indexes.length; at += 8192)
    text += String.fromCharCode(...indexes.subarray(at, at + 8192));
  return { width, height, palette: palette.flat(), indexes: btoa(text) };
}"""


def picture(page: Page, reducer: Page) -> bytes:
    """What the window shows; `reducer` is any page that does the arithmetic."""
    taken = page.screenshot(animations="disabled", caret="hide")
    return small_png(**reducer.evaluate(REDUCE, base64.b64encode(taken).decode()))


def small_png(width: int, height: int, palette: list[int], indexes: str) -> bytes:
    """A PNG file of indexes (base64, a byte per pixel) into a palette (red, green, blue, red, …)."""
    pixels = base64.b64decode(indexes)
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = {b"IHDR": header, b"PLTE": bytes(palette), b"IDAT": zlib.compress(rows, 9), b"IEND": b""}
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in parts.items())


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
