// The filters of the search page: they apply when changed, so the buttons that apply them are not needed; folded on a
// narrow screen, open on a wide one; the new count is said aloud; and a name being typed stays.
const wide = window.matchMedia("(min-width: 52.01rem)");
let foldWasOpen = false;
let opened = [];
let focused = "";
let saving = null;

function settle() {
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
  settle();
  const save = document.querySelector("details.save");
  if (save && saving) {
    save.open = saving.open;
    if (saving.typed !== null) document.getElementById("save-name").value = saving.typed;
  }
  // What was folded while it was swapped could not take the focus back.
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  document.getElementById("announced").textContent = document.getElementById("count")?.textContent ?? "";
});
wide.addEventListener("change", settle);
settle();
