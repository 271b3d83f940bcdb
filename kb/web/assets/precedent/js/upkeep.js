// Asks before the page is left with unsaved changes. Its buttons save all of them, so only links and closing it lose any.
import { snapshot } from "./card-fields.js";

const form = document.getElementById("upkeep");
const opened = snapshot(form);
let isSent = false;

form.addEventListener("submit", () => {
  isSent = true;
});

window.addEventListener("beforeunload", (event) => {
  if (!isSent && (form.hasAttribute("data-unsaved") || snapshot(form) !== opened)) event.preventDefault();
});
