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
