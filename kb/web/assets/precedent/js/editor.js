// The editor saves each card by itself, a moment after typing stops. htmx carries the requests; this decides when, keeps the
// text until it is saved, and says how things stand. Without it every card is a plain form with its own Save button.
import { Kept } from "./kept.js";
import { fill, growLines, hiddenOf, setHidden, snapshot } from "./card-fields.js";

const PAUSE = 1500;
const SLOW = 300;
const FIRST_RETRY = 5000;
const LAST_RETRY = 60000;

const editor = document.getElementById("editor");
const saveState = document.getElementById("save-state");
const notice = document.getElementById("editor-notice");
const kept = new Kept(editor.dataset.keptUnder);
const cards = new Map();
let retryAfter = FIRST_RETRY;
let retryTimer = 0;

// --- Cards -----------------------------------------------------------------------------------------
const formOf = (id) => document.getElementById(`form-${id}`);
const savesItself = (form) => form.hasAttribute("data-saves-itself");
const cardForm = (element) => (element.form ?? element.closest?.("form"))?.closest("form[data-card]") ?? null;
const dirtyCards = () => [...cards].filter(([id, card]) => card.dirty && formOf(id));

function cardOf(form) {
  const id = form.dataset.card;
  if (!cards.has(id)) cards.set(id, { saved: snapshot(form), sent: null, dirty: false, trouble: "", timer: 0, waiting: [] });
  return cards.get(id);
}

// A form that came with the page, or anew with an answer: what stands in it now is what is saved, unless it was refused.
function begin(form) {
  const card = cardOf(form);
  const wasRefused = form.querySelector(".errors, .conflict, .meanwhile") !== null;
  card.dirty = wasRefused || form.hasAttribute("data-unsaved");
  card.trouble = wasRefused ? "refused" : "";
  if (!wasRefused) card.saved = snapshot(form);
  offerKept(form);
}

function offerKept(form) {
  const found = kept.get(form.dataset.card);
  if (!found) return;
  const before = snapshot(form);
  if (JSON.stringify(found.fields) === before) return kept.drop(form.dataset.card);
  if (form.querySelector(".kept")) return;
  const when = new Date(found.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const offer = document.createElement("p");
  offer.className = "notice kept";
  offer.append(`Text of ${when} that was not saved is still here. `);
  offer.append(
    button("Put it back", () => {
      setHidden(form, found.hidden);
      fill(form, found.fields);
      offer.remove();
      changed(form);
      save(form);
    }),
    " ",
    button("Forget it", () => {
      kept.drop(form.dataset.card);
      offer.remove();
    }),
  );
  form.prepend(offer);
  form.closest("details")?.setAttribute("open", "");
}

function button(words, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button small";
  made.textContent = words;
  made.addEventListener("click", act);
  return made;
}

// --- Typing ----------------------------------------------------------------------------------------
function changed(form) {
  const card = cardOf(form);
  card.dirty = snapshot(form) !== card.saved;
  if (card.dirty) {
    kept.put(form.dataset.card, { hidden: hiddenOf(form), fields: JSON.parse(snapshot(form)) });
  } else if (!card.sent) {
    kept.drop(form.dataset.card);
  }
  tell();
}

// What is written as prose is saved while it is typed; a name or a time only when it is complete.
const isProse = (element) => element.matches("textarea, [name=none_reason]");

document.addEventListener("input", (event) => {
  const lines = event.target.closest(".line-list");
  if (lines) growLines(lines);
  const form = cardForm(event.target);
  if (!form) return;
  changed(form);
  if (!savesItself(form) || !isProse(event.target)) return;
  const card = cardOf(form);
  clearTimeout(card.timer);
  card.timer = setTimeout(() => save(form), PAUSE);
});

// Leaving a field that was changed.
document.addEventListener("change", (event) => {
  const form = cardForm(event.target);
  if (!form) return;
  changed(form);
  if (savesItself(form)) save(form);
});

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  event.preventDefault();
  const form = cardForm(document.activeElement);
  if (form && !savesItself(form)) form.requestSubmit();
  for (const [id] of dirtyCards()) saveCard(id);
});

// --- Saving ----------------------------------------------------------------------------------------
function saveCard(id) {
  const form = formOf(id);
  if (form && savesItself(form)) save(form);
}

// Sends the card if something in it is not saved. While two texts wait to be brought together only its own buttons send it.
function save(form) {
  const card = cardOf(form);
  clearTimeout(card.timer);
  card.dirty = snapshot(form) !== card.saved;
  if (!card.dirty || card.sent !== null || form.querySelector(".conflict")) return tell();
  form.dispatchEvent(new CustomEvent("save"));
}

function saveAndWait(form) {
  return new Promise((done) => {
    const card = cardOf(form);
    save(form);
    if (card.sent === null) done();
    else card.waiting.push(done);
  });
}

// The token is read at the last moment: signing in again in another tab changes it.
document.addEventListener("htmx:configRequest", (event) => {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  if (token) event.detail.formData.set("csrfmiddlewaretoken", token[1]);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt;
  if (!form.matches("form[data-card]")) return;
  const card = cardOf(form);
  clearTimeout(card.timer);
  card.sent = snapshot(form);
  setTimeout(() => card.sent !== null && say("Saving …", ""), SLOW);
});

// An answer with an error code is shown when it is one of the editor's own.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.getResponseHeader("Precedent-Fragment")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  // The form that asked; it may be gone from the page by now.
  const { requestConfig: { elt: form, formData }, xhr } = event.detail;
  if (!form.matches("form[data-card]")) {
    if (xhr.status === 0 || xhr.status >= 400) troubleWith(xhr);
    return;
  }
  const card = cardOf(form);
  const sent = card.sent;
  card.sent = null;
  if (xhr.status >= 200 && xhr.status < 300) {
    succeeded(form, card, sent, formData);
  } else {
    card.dirty = true;
    card.trouble = troubleWith(xhr);
  }
  for (const done of card.waiting.splice(0)) done();
  tell();
});

function succeeded(form, card, sent, formData) {
  const id = form.dataset.card;
  const here = formOf(id);
  retryAfter = FIRST_RETRY;
  notice.replaceChildren();
  card.trouble = "";
  if (!savesItself(form)) {
    // The form itself came back anew with the answer, and empty.
    kept.drop(id);
    card.dirty = false;
    if (here) card.saved = snapshot(here);
    return;
  }
  card.saved = here ? savedNow(here, sent, formData) : sent;
  card.dirty = here !== null && snapshot(here) !== card.saved;
  if (!card.dirty) {
    kept.drop(id);
    here?.querySelector(".kept")?.remove();
  } else if (here) {
    changed(here);
    // Only prose that was typed meanwhile goes on by itself; a half-written name waits until its field is left.
    if (isProse(document.activeElement) || cardForm(document.activeElement) !== here) {
      clearTimeout(card.timer);
      card.timer = setTimeout(() => save(here), PAUSE);
    }
  }
}

// What counts as saved: what was sent, except where the answer put something else into the page. That is a text that gave
// way to theirs, or a fact that the record writes a little differently than it was typed.
function savedNow(form, sent, formData) {
  const typed = new Map();
  for (const [name, value] of JSON.parse(sent)) typed.set(name, [...(typed.get(name) ?? []), value]);
  const whole = formData.get("take") === "theirs";
  const [whose, fact] = (formData.get("settle") ?? "").split(":");
  const replaced = new Set(whose === "theirs" ? [fact, `${fact}_precision`, `${fact}_text`] : []);
  for (const [name, value] of hiddenOf(form)) {
    const field = name.startsWith("base-") ? form.elements[name.slice(5)] : null;
    if (!(field instanceof HTMLInputElement) || field.type !== "text" || field === document.activeElement) continue;
    if (field.closest(".line-list, .meanwhile") || field.value !== typed.get(field.name)?.[0]) continue;
    field.value = value;
    replaced.add(field.name);
  }
  return JSON.stringify(
    JSON.parse(snapshot(form)).map(([name, value]) => (whole || replaced.has(name) ? [name, value] : [name, typed.get(name)?.shift() ?? ""])),
  );
}

// --- Trouble ---------------------------------------------------------------------------------------
function troubleWith(xhr) {
  if (xhr.status === 401) {
    tellSignedOut();
    return "signed-out";
  }
  if (xhr.status === 0 || xhr.status === 429 || xhr.status >= 500) {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(retry, retryAfter);
    retryAfter = Math.min(retryAfter * 2, LAST_RETRY);
    return "unreachable";
  }
  return xhr.getResponseHeader("Precedent-Fragment") ? "refused" : "not-possible";
}

function tellSignedOut() {
  if (notice.querySelector(".signed-out")) return;
  const words = document.createElement("p");
  words.className = "notice attention signed-out";
  const link = document.createElement("a");
  link.href = editor.dataset.signIn;
  link.target = "_blank";
  link.rel = "noopener";
  link.textContent = "Sign in";
  words.append("You are signed out. Your text is kept in this browser. ", link, " in another tab and come back: it is saved then.");
  notice.replaceChildren(words);
}

function retry() {
  for (const [id, card] of dirtyCards()) if (card.trouble === "unreachable" || card.trouble === "signed-out") saveCard(id);
}

window.addEventListener("online", retry);
window.addEventListener("focus", retry);
document.addEventListener("visibilitychange", () => document.hidden || retry());

// --- Rows that come, go and move ---------------------------------------------------------------------
// The list is drawn anew then, so what is being typed in it is saved first.
document.addEventListener("htmx:confirm", async (event) => {
  const asked = event.detail.elt;
  if (!asked.matches("[data-structural]")) return;
  const list = asked.closest(".records") ?? document.getElementById("records-timeline");
  const unsaved = [...list.querySelectorAll("form[data-saves-itself]")].filter((form) => cardOf(form).dirty);
  if (unsaved.length === 0) return;
  event.preventDefault();
  await Promise.all(unsaved.map(saveAndWait));
  event.detail.issueRequest(true);
});

document.addEventListener("htmx:load", (event) => {
  const loaded = event.detail.elt;
  const forms = loaded.querySelectorAll?.("form[data-card]") ?? [];
  for (const form of loaded.matches?.("form[data-card]") ? [loaded, ...forms] : forms) begin(form);
  loaded.querySelector?.(".conflict")?.focus();
  tell();
});

// --- How things stand --------------------------------------------------------------------------------
const WORDS = {
  "refused": "Not saved yet: see what is marked",
  "not-possible": "Not saved: this cannot be changed any more. Copy your text and load the page again",
  "unreachable": "Not saved yet: no connection. Kept in this browser; trying again",
  "signed-out": "Not saved yet: you are signed out",
};

function say(words, kind) {
  if (saveState.textContent.trim() === words) return;
  saveState.textContent = words;
  saveState.className = `saved ${kind}`;
}

let wasDirty = false;

function tell() {
  const dirty = dirtyCards();
  const trouble = dirty.map(([, card]) => card.trouble).find(Boolean);
  if (trouble) say(WORDS[trouble], "unsaved");
  else if (dirty.length > 0) say("Not saved yet", "unsaved");
  else if (wasDirty) say(`All changes saved ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })}`, "");
  wasDirty = dirty.length > 0;
}

window.addEventListener("beforeunload", (event) => {
  if (dirtyCards().length > 0) event.preventDefault();
});

editor.dataset.script = "on";
for (const form of editor.querySelectorAll("form[data-card]")) begin(form);
tell();
