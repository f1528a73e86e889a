// Times are shown in the reader's zone: the server learns it by this cookie.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const saidZone = `zone=${encodeURIComponent(zone)}`;
if (zone && !document.cookie.split("; ").includes(saidZone)) {
  document.cookie = `${saidZone}; path=/; max-age=31536000; samesite=lax`;
}
// Copy buttons: any element with data-copy puts that text on the clipboard and shows for a moment that it did.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const icon = button.querySelector(".oi-icon");
  icon.textContent = "check";
  button.classList.add("oi-copied");
  setTimeout(() => { icon.textContent = "content_copy"; button.classList.remove("oi-copied"); }, 1500);
});
// The command palette opens by its button and by "/", unless somebody is writing.
function openSearch() { window.dispatchEvent(new CustomEvent("opencommand")); }
document.addEventListener("click", (event) => { if (event.target.closest("[data-open-search]")) openSearch(); });
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || writing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  openSearch();
});
// A choice that is sent as soon as it is made.
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-send-on-change]")) event.target.form.submit();
});
// What Unfold draws for the mouse and the eye alone gets a role, a name and a place in the order of the keys.
const searched = "Ticket number, endpoint, rule or page";
const named = [
  ["[x-data='searchCommand()']", { role: "dialog", "aria-modal": "true", "aria-label": "Search" }],
  ["#command-submit", { "aria-label": "Search" }],
  ["#search-input-command", { "aria-label": searched, placeholder: searched }],
  ["body.login #page > div:first-child", { role: "main" }],
  ["[x-on\\:click='openUserLinks = !openUserLinks']", {
    role: "button", tabindex: "0", title: "Your account", "x-bind:aria-expanded": "openUserLinks",
    "x-on:keydown.escape": "openUserLinks = false",
  }],
  ["a:not([href])[x-on\\:click]", { role: "button", tabindex: "0" }],
  [":is([x-on\\:click^='switchTheme'], [x-on\\:click^='openUserLinks']) .material-symbols-outlined", { "aria-hidden": "true" }],
];
function nameWhatIsDrawn() {
  for (const [selector, attributes] of named) {
    for (const one of document.querySelectorAll(selector)) {
      for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    }
  }
  nameFieldsByTheirColumn();
}
// In a table of fields the label stands above the column, not beside the field.
function nameFieldsByTheirColumn() {
  for (const field of document.querySelectorAll("form td :is(input, select, textarea):not([type=hidden], [aria-label])")) {
    if (field.labels.length) continue;
    const heading = field.closest("table").querySelectorAll("thead th")[field.closest("td").cellIndex];
    if (heading?.innerText.trim()) field.setAttribute("aria-label", heading.innerText.trim());
  }
}
document.addEventListener("alpine:init", nameWhatIsDrawn);
document.addEventListener("formset:added", nameFieldsByTheirColumn);
document.addEventListener("keydown", (event) => {
  if (![" ", "Enter"].includes(event.key) || !event.target.matches("[role=button]:not(button)")) return;
  event.preventDefault();
  event.target.click();
});
