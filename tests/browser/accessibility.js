/* What WCAG 2.2 AA asks of a page, as far as a program can see it. Gives one sentence for each fault. */
() => {
  const faults = [];
  const shown = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && one.getClientRects().length > 0;
  const say = (what, one) => faults.push(`${what}: ${one.outerHTML.replace(/\s+/g, " ").slice(0, 160)}`);
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);

  const text = (one) => (one?.textContent ?? "").trim();
  const withoutIcons = (one) => {
    const copy = one.cloneNode(true);
    copy.querySelectorAll("[aria-hidden=true], .material-symbols-outlined, script, style").forEach((each) => each.remove());
    return text(copy) || [...copy.querySelectorAll("img[alt], [aria-label]")].map((each) => each.alt ?? each.ariaLabel).join("");
  };
  const named = (one) =>
    one.ariaLabel?.trim() ||
    (one.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => text(document.getElementById(id))).join("") ||
    [...(one.labels ?? [])].map(withoutIcons).join("") ||
    one.title?.trim() || withoutIcons(one) || (one.type === "submit" && one.value) || "";

  // 3.1.1, 2.4.2, 1.3.1, 2.4.6: language, title, landmarks, one first heading.
  if (!document.documentElement.lang) faults.push("The page has no language.");
  if (!document.title.trim()) faults.push("The page has no title.");
  if (document.querySelectorAll("h1").length !== 1) faults.push(`The page has ${document.querySelectorAll("h1").length} first headings.`);
  if (document.querySelectorAll("main, [role=main]").length !== 1) faults.push("The page has not exactly one main part.");
  // 1.1.1 and 4.1.2: pictures, controls and fields have names.
  all("img:not([alt])").forEach((one) => say("A picture without a text", one));
  const controls = all("a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [tabindex='0']");
  controls.filter((one) => !named(one)).forEach((one) => say("A control without a name", one));
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  new Set(ids.filter((id, at) => ids.indexOf(id) !== at)).forEach((id) => faults.push(`Two elements are called ${id}.`));
  // 2.4.3: the order of the page is the order of the keyboard.
  all("[tabindex]").filter((one) => one.tabIndex > 0).forEach((one) => say("A place of its own in the tab order", one));
  // 2.5.8: 24 px, or as much room around, or a link within a sentence.
  controls.filter((one) => !one.disabled && !["A", "SUMMARY"].includes(one.tagName)).forEach((one) => {
    const { width, height } = (one.closest("label") ?? one).getBoundingClientRect();
    const middle = one.getBoundingClientRect();
    const crowded = controls.some((other) => {
      const place = other.getBoundingClientRect();
      const apart = Math.hypot(middle.x + middle.width / 2 - place.x - place.width / 2, middle.y + middle.height / 2 - place.y - place.height / 2);
      return other !== one && apart < 24;
    });
    if ((width < 24 || height < 24) && crowded) say(`A target of ${Math.round(width)} × ${Math.round(height)} px`, one);
  });

  // 1.4.3: contrast of text, on the colours below it mixed together.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const mix = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    colours.forEach((colour) => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); });
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const below = (one) => {
    const colours = [];
    for (let each = one; each; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.backgroundImage !== "none") return null;
      colours.unshift(style.backgroundColor);
    }
    return ["white", ...colours];
  };
  const contrast = (one) => {
    const ground = below(one);
    if (!ground) return 21;
    const [first, second] = [light(mix(ground)), light(mix([...ground, getComputedStyle(one).color]))];
    return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
  };
  const told = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(one) || told.has(one) || one.closest("option, [disabled], [aria-disabled=true], [aria-hidden=true], .material-symbols-outlined")) continue;
    told.add(one);
    const style = getComputedStyle(one);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const found = contrast(one);
    if (found < least) say(`Contrast ${found.toFixed(1)} (${style.color})`, one);
  }
  return faults;
}
