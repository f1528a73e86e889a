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
// Unfold has controls that are links without an address: keys reach them like buttons.
document.addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll("a:not([href])[x-on\\:click]")) Object.assign(one, { role: "button", tabIndex: 0 });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("a:not([href])[role=button]")) event.target.click();
});
