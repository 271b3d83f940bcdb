// The filters of the search page. They apply as soon as they change, so the buttons that apply them are hidden. They are
// folded on a narrow screen and open on a wide one. The new count is announced to screen readers, and a name being typed
// for a saved search survives the swap.
const wide = window.matchMedia("(min-width: 52.01rem)");
let foldWasOpen = false;
let opened = [];
let focused = "";
let saving = null;

function restoreFilters() {
  const fold = document.getElementById("fold");
  if (!fold) return;
  fold.open = wide.matches || foldWasOpen;
  for (const button of document.querySelectorAll("button.apply")) button.hidden = true;
  document.querySelectorAll("#fold details.more").forEach((more, index) => {
    if (opened.includes(index)) more.open = true;
  });
}

document.addEventListener("htmx:beforeSwap", () => {
  const save = document.querySelector("details.save");
  const name = document.getElementById("save-name");
  saving = save && { open: save.open, typed: name.value === name.defaultValue ? null : name.value };
  focused = document.activeElement?.id ?? "";
  foldWasOpen = document.getElementById("fold")?.open ?? false;
  opened = [...document.querySelectorAll("#fold details.more")].flatMap((more, index) => (more.open ? [index] : []));
});
document.addEventListener("htmx:afterSwap", () => {
  restoreFilters();
  const save = document.querySelector("details.save");
  if (save && saving) {
    save.open = saving.open;
    if (saving.typed !== null) document.getElementById("save-name").value = saving.typed;
  }
  // An element inside a closed fold could not get the focus back during the swap.
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  document.getElementById("announced").textContent = document.getElementById("count")?.textContent ?? "";
});
wide.addEventListener("change", restoreFilters);
restoreFilters();
