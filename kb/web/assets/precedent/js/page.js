// What every page offers: "/" goes to the search box, Escape closes an open menu, and a form is sent once.
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

// Pressing a button again while its answer is on its way would do the same twice. What htmx or a script sends is theirs;
// and when no answer came for long, it may have been stopped.
const LONG = 30000;
let sent = new WeakMap();

document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.timeStamp - sent.get(event.target) < LONG) event.preventDefault();
  else sent.set(event.target, event.timeStamp);
});

// Back to a page that the browser kept.
window.addEventListener("pageshow", () => {
  sent = new WeakMap();
});
