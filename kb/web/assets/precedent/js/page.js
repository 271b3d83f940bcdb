// For every page: "/" focuses the search box, Escape closes an open menu, and a form is submitted only once.
const OPEN = "details.menu[open], details.save[open]";
const isTyping = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
    const box = document.getElementById("search-box");
    if (box) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  }
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll(OPEN)) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(OPEN)) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A second press while the response is still on its way would do the same thing twice. Submits handled by htmx or another
// script are left alone. After a long wait a second submit is allowed, because the first may have been stopped.
const RESUBMIT_AFTER = 30000;
let sent = new WeakMap();

document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.timeStamp - sent.get(event.target) < RESUBMIT_AFTER) event.preventDefault();
  else sent.set(event.target, event.timeStamp);
});

// The browser may show this page again from its back/forward cache.
window.addEventListener("pageshow", () => {
  sent = new WeakMap();
});
