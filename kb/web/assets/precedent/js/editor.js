// The editor saves each card automatically, shortly after typing stops. htmx sends the requests; this module decides when,
// keeps the text in the browser until it is saved, and shows the save state. Without JavaScript every card is a plain form
// with its own Save button.
import { Kept } from "./kept.js";
import { fieldsOf, fill, growLines, hiddenOf, setHidden, snapshot } from "./card-fields.js";

const SAVE_DELAY = 1500;
const SAVING_SHOWN_AFTER = 300;
const FIRST_RETRY = 5000;
const LAST_RETRY = 60000;
const TAGGING_DELAY = 5000;

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
  if (!cards.has(id)) cards.set(id, { form: null, saved: snapshot(form), sent: null, again: false, dirty: false, trouble: "", timer: 0, waiting: [] });
  return cards.get(id);
}

// Starts tracking a form that came with the page or with a response. Its current text is what is saved, unless it was refused.
function track(form) {
  const card = cardOf(form);
  const before = card.form;
  if (before === form) return;
  const wasReplaced = before !== null && card.dirty && !form.hasAttribute("data-unsaved");
  const wasRefused = form.querySelector(".errors, .conflict, .meanwhile") !== null;
  card.form = form;
  card.dirty = wasRefused || form.hasAttribute("data-unsaved");
  card.trouble = wasRefused ? "refused" : "";
  if (!wasRefused) card.saved = snapshot(form);
  markInvalid(form);
  if (wasReplaced) carryOver(form, before);
  else offerKept(form);
}

// A response replaced a form that held unsaved text: carries that text over to the new form.
function carryOver(form, before) {
  setHidden(form, hiddenOf(before));
  fill(form, fieldsOf(before));
  onChange(form);
  saveSoon(form);
}

// Marks the fields whose value was refused, for screen readers.
function markInvalid(form) {
  for (const element of form.elements) {
    const messages = document.getElementById(`${element.id}-said`);
    if (messages?.querySelector(".errors")) element.setAttribute("aria-invalid", "true");
    else if (messages) element.removeAttribute("aria-invalid");
  }
}

const timeOf = (found) => new Date(found.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

function offerKept(form) {
  const found = kept.get(form.dataset.card);
  if (!found) return;
  const before = snapshot(form);
  if (JSON.stringify(found.fields) === before) {
    if (!cardOf(form).dirty) kept.drop(form.dataset.card);
    return;
  }
  if (form.querySelector(".kept")) return;
  const offer = document.createElement("p");
  offer.className = "notice kept";
  offer.append(`Unsaved text from ${timeOf(found)} is still in this browser. `);
  offer.append(
    button("Restore it", () => {
      setHidden(form, found.hidden);
      fill(form, found.fields);
      offer.remove();
      onChange(form);
      save(form);
    }),
    " ",
    button("Discard it", () => {
      kept.drop(form.dataset.card);
      offer.remove();
    }),
  );
  form.prepend(offer);
  form.closest("details")?.setAttribute("open", "");
}

function button(label, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button small";
  element.textContent = label;
  element.addEventListener("click", onClick);
  return element;
}

// A refused card is sent again even when its text is back to what is saved, so that the response clears the error marks.
// What is being sent is not saved yet, and may not be what is in the form any more.
function isUnsaved(form) {
  const card = cardOf(form);
  return snapshot(form) !== card.saved || card.trouble === "refused" || card.sent !== null;
}

// --- Typing ----------------------------------------------------------------------------------------
function onChange(form) {
  const card = cardOf(form);
  card.dirty = isUnsaved(form);
  if (card.dirty) {
    kept.put(form.dataset.card, { hidden: hiddenOf(form), fields: JSON.parse(snapshot(form)) });
  } else if (!card.sent) {
    kept.drop(form.dataset.card);
  }
  updateSaveState();
}

// Prose is saved while it is typed; a name or a time only when its field is left.
const isProse = (element) => element.matches("textarea, [name=none_reason]");

document.addEventListener("input", (event) => {
  const lines = event.target.closest(".line-list");
  if (lines) growLines(lines);
  const form = cardForm(event.target);
  if (!form) return;
  onChange(form);
  if (!savesItself(form) || !isProse(event.target)) return;
  const card = cardOf(form);
  clearTimeout(card.timer);
  card.timer = setTimeout(() => save(form), SAVE_DELAY);
});

// Fires when the user leaves a field they changed.
document.addEventListener("change", (event) => {
  const form = cardForm(event.target);
  if (!form) return;
  onChange(form);
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

// Sends the card if it has unsaved changes; while it is being sent, once that is done. While a conflict is open, only the
// buttons of the conflict send it.
function save(form) {
  const card = cardOf(form);
  clearTimeout(card.timer);
  card.dirty = isUnsaved(form);
  card.again = card.sent !== null;
  if (!card.dirty || card.again || form.querySelector(".conflict")) return updateSaveState();
  form.dispatchEvent(new CustomEvent("save"));
}

// Saves what was typed in the meantime, except a half-typed name, which waits until its field is left. What was to be saved
// while the card was being sent is saved at once.
function saveSoon(form) {
  const card = cardOf(form);
  const focused = document.activeElement;
  const isHalfTyped = cardForm(focused) === form && focused.matches("input, select") && !isProse(focused);
  if (!savesItself(form) || (isHalfTyped && !card.again)) return;
  clearTimeout(card.timer);
  card.timer = setTimeout(() => save(form), card.again ? 0 : SAVE_DELAY);
}

function saveAndWait(form) {
  return new Promise((done) => {
    const card = cardOf(form);
    save(form);
    if (card.sent === null) done();
    else card.waiting.push(done);
  });
}

// The CSRF token is read at the last moment, because signing in again in another tab changes it. It stays out of GET
// requests, whose URLs end up in logs. The button sent is the one that was pressed, even if it is outside its form or was
// redrawn before the form is sent.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.triggeringEvent?.type === "save") ignoreFocusedButton(event.detail);
  const pressed = event.detail.triggeringEvent?.submitter;
  if (pressed?.name) event.detail.formData.set(pressed.name, pressed.value);
  const token = csrfToken();
  if (token && event.detail.verb !== "get") event.detail.formData.set("csrfmiddlewaretoken", token);
});

const csrfToken = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];

// htmx treats a button that merely has the focus as the one that was pressed. An automatic save must use neither its URL nor
// its value.
function ignoreFocusedButton(detail) {
  detail.path = detail.elt.getAttribute("hx-post");
  for (const element of detail.elt.elements) if (element.matches("button[name]")) detail.formData.delete(element.name);
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt;
  if (!form.matches("form[data-card]")) return;
  const card = cardOf(form);
  clearTimeout(card.timer);
  card.sent = snapshot(form);
  setTimeout(() => card.sent !== null && showSaveState("Saving …", ""), SAVING_SHOWN_AFTER);
});

// An error response is swapped in if it is one of the editor's own fragments.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.getResponseHeader("Precedent-Fragment")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  // The element that sent the request; it may be gone from the page by now.
  const { requestConfig: { elt: source, formData, triggeringEvent, verb }, xhr } = event.detail;
  if (source.matches("form[data-card]")) {
    const card = cardOf(source);
    const sent = card.sent;
    card.sent = null;
    if (xhr.status >= 200 && xhr.status < 300) {
      onSaved(source, card, sent, formData);
    } else {
      card.dirty = true;
      card.trouble = troubleWith(xhr);
    }
    markInvalid(source);
    for (const done of card.waiting.splice(0)) done();
  } else if (xhr.status === 0 || xhr.status >= 400) {
    troubleWith(xhr);
  }
  if (verb !== "get" && xhr.status >= 200 && xhr.status < 300) reloadSimilarLater();
  if (source.matches("[data-structural]")) unlock(listOf(source));
  for (const form of editor.querySelectorAll("form[data-card]")) track(form);
  if (!source.matches("[data-saves-itself]") || triggeringEvent?.submitter) focusAfter(source, formData);
  updateSaveState();
});

function onSaved(form, card, sent, formData) {
  const id = form.dataset.card;
  const current = formOf(id);
  retryAfter = FIRST_RETRY;
  notice.replaceChildren();
  card.trouble = "";
  for (const other of cards.values()) {
    if (RETRIED.has(other.trouble) && !savesItself(other.form)) other.trouble = "not-added";
  }
  if (!savesItself(form)) {
    // The response brings an empty form in place of this one. Only what was typed since it was sent is unsaved.
    card.dirty = snapshot(form) !== sent;
    if (!card.dirty) kept.drop(id);
    // The response replaces the events found in an earlier paste.
    if (id === "paste") kept.drop("understood");
    return;
  }
  card.saved = current ? savedSnapshot(current, sent, formData) : sent;
  card.dirty = current !== null && snapshot(current) !== card.saved;
  if (!card.dirty) {
    kept.drop(id);
    current?.querySelector(".kept")?.remove();
  } else if (current) {
    onChange(current);
    saveSoon(current);
  }
}

// What counts as saved: what was sent, except where the response put something else into the page: a text replaced by the
// other person's, or a fact that is stored in a slightly different form than it was typed.
function savedSnapshot(form, sent, formData) {
  const typed = new Map();
  for (const [name, value] of JSON.parse(sent)) typed.set(name, [...(typed.get(name) ?? []), value]);
  const tookTheirs = formData.get("take") === "theirs";
  const [whose, fact] = (formData.get("settle") ?? "").split(":");
  const replaced = new Set(whose === "theirs" ? [fact, `${fact}_precision`, `${fact}_text`] : []);
  for (const [name, value] of hiddenOf(form)) {
    const field = name.startsWith("base-") ? form.elements[name.slice(5)] : null;
    if (!(field instanceof HTMLInputElement) || field.type !== "text" || field === document.activeElement) continue;
    if (field.closest(".line-list, .meanwhile") || field.value !== typed.get(field.name)?.[0]) continue;
    field.value = value;
    replaced.add(field.name);
  }
  const present = JSON.parse(snapshot(form)).map(([name, value]) => (tookTheirs || replaced.has(name) ? [name, value] : [name, typed.get(name)?.shift() ?? ""]));
  // A box that was cleared since is no longer in the form, but it was saved as ticked.
  const cleared = [...typed].flatMap(([name, values]) => (tookTheirs || replaced.has(name) ? [] : values.map((value) => [name, value])));
  return JSON.stringify([...present, ...cleared]);
}

// --- Trouble ---------------------------------------------------------------------------------------
function troubleWith(xhr) {
  // Without the cookie, for example after all were cleared, the request is refused before anyone looks at the session.
  if (xhr.status === 401 || (xhr.status === 403 && !csrfToken())) {
    showSignedOut();
    return "signed-out";
  }
  if (xhr.status === 0 || xhr.status === 429 || xhr.status >= 500) {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(retry, retryAfter);
    retryAfter = Math.min(retryAfter * 2, LAST_RETRY);
    return xhr.status === 0 ? "unreachable" : "not-now";
  }
  return xhr.getResponseHeader("Precedent-Fragment") ? "refused" : "not-possible";
}

function showSignedOut() {
  if (notice.querySelector(".signed-out")) return;
  const words = document.createElement("p");
  words.className = "notice attention signed-out";
  const link = document.createElement("a");
  link.href = editor.dataset.signIn;
  link.target = "_blank";
  link.rel = "noopener";
  link.textContent = "Sign in";
  words.append("You are signed out. Your text is kept in this browser. ", link, " in another tab, then come back: your text will be saved.");
  notice.replaceChildren(words);
}

function retry() {
  for (const [id, card] of dirtyCards()) if (RETRIED.has(card.trouble)) saveCard(id);
}

window.addEventListener("online", retry);
window.addEventListener("focus", retry);
document.addEventListener("visibilitychange", () => document.hidden || retry());

// --- Adding, removing and moving rows --------------------------------------------------------------
// Each of these redraws the whole list, so unsaved text in it is saved first. Text typed after that is not sent until the
// list is back, because a response to a form that has left the page would be lost.
const listOf = (source) => source.closest(".records") ?? document.getElementById("records-timeline");
const isBusy = (list) => list.getAttribute("aria-busy") === "true";
const ownForms = (list) => list.querySelectorAll("form[data-saves-itself]");

document.addEventListener("htmx:confirm", async (event) => {
  const source = event.detail.elt;
  const isStructural = source.matches("[data-structural]");
  if (!isStructural && !source.closest(".records")) return;
  const list = listOf(source);
  if (isBusy(list)) return event.preventDefault();
  if (!isStructural) return;
  const saving = [...ownForms(list)].filter((form) => cardOf(form).dirty).map(saveAndWait);
  list.setAttribute("aria-busy", "true");
  if (saving.length === 0) return;
  event.preventDefault();
  await Promise.all(saving);
  event.detail.issueRequest(true);
});

function unlock(list) {
  list.removeAttribute("aria-busy");
  for (const form of ownForms(list)) if (cardOf(form).dirty) saveSoon(form);
}

// Moves the focus on when the element that was pressed is gone.
function focusAfter(source, formData) {
  if (document.activeElement !== document.body) return;
  const id = source.closest("form")?.dataset.card;
  const isPaste = id === "paste" || id === "understood";
  const kind = listOf(source).id.replace("records-", "");
  const [, fact] = (formData.get("settle") ?? "").split(":");
  const field = ":is(textarea, select, input:not([type=hidden]))";
  // A row that has reached an end of the list can only go the other way.
  const [, way, row] = source.id.match(/^(up|down)-(.+)$/) ?? [];
  const places = [
    row ? `#${way === "up" ? "down" : "up"}-${row}:enabled` : "",
    fact ? `#field-facts-${fact} ${field}` : "",
    isPaste ? `#form-understood .row:has(.errors) ${field}` : "",
    isPaste ? `#form-understood ${field}` : "",
    source.matches("[data-structural]") ? `#undo-${kind}` : "",
    source.matches("[data-structural]") ? `#add-${kind}` : "",
    id ? `#form-${id} ${field}` : "",
  ];
  places.filter(Boolean).map((place) => document.querySelector(place)).find(Boolean)?.focus();
}

// --- Has this happened before? -----------------------------------------------------------------------
// Reloaded a while after a save, when the text has probably been tagged; never while the pointer or the focus is in it.
const similar = document.getElementById("similar");
let similarTimer = 0;

function reloadSimilarLater() {
  clearTimeout(similarTimer);
  similarTimer = setTimeout(() => {
    if (similar.matches(":hover, :focus-within")) reloadSimilarLater();
    else similar.dispatchEvent(new CustomEvent("written"));
  }, TAGGING_DELAY);
}

// A day that the user chose stays; the suggested day follows the start of the incident.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target } = event.detail;
  if (target.id === "paste-day" && target.value !== target.defaultValue) event.detail.shouldSwap = false;
});

document.addEventListener("htmx:load", (event) => event.detail.elt.querySelector?.(".conflict")?.focus());

// --- The save state --------------------------------------------------------------------------------
const TROUBLE_MESSAGES = {
  "refused": "Not saved yet: see what needs attention",
  "not-possible": "Not saved: this can no longer be changed. Copy your text and reload the page",
  "unreachable": "Not saved yet: no connection. Your text is kept in this browser; retrying",
  "not-now": "Not saved yet: the server cannot save right now. Your text is kept in this browser; retrying",
  "signed-out": "Not saved yet: you are signed out",
  "not-added": "Not added yet",
};
// Trouble that may pass, so saving is retried. A row that is not added yet still waits for its button.
const RETRIED = new Set(["unreachable", "not-now", "signed-out"]);

function showSaveState(words, kind) {
  if (saveState.textContent.trim() === words) return;
  saveState.textContent = words;
  saveState.className = `saved ${kind}`;
}

let wasDirty = false;

function updateSaveState() {
  const dirty = dirtyCards();
  const trouble = dirty.map(([, card]) => card.trouble).find(Boolean);
  if (trouble) showSaveState(TROUBLE_MESSAGES[trouble], "unsaved");
  else if (dirty.length > 0) showSaveState("Not saved yet", "unsaved");
  else if (wasDirty) showSaveState(`All changes saved at ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })}`, "");
  wasDirty = dirty.length > 0;
}

window.addEventListener("beforeunload", (event) => {
  if (dirtyCards().length > 0) event.preventDefault();
});

// Unsaved text from a row that has since been removed, or from pasted events, has no form to be restored to.
function offerWithoutForm(id) {
  const found = kept.get(id);
  const offer = document.createElement("div");
  offer.className = "notice attention kept";
  const words = document.createElement("p");
  words.textContent = `Unsaved text from ${timeOf(found)} no longer has a place on this page. Copy what you need:`;
  const text = document.createElement("textarea");
  text.readOnly = true;
  text.rows = 3;
  text.setAttribute("aria-label", "Unsaved text");
  text.value = found.fields.map(([, value]) => value).filter((value) => value.trim()).join("\n");
  const forget = button("Discard it", () => {
    kept.drop(id);
    offer.remove();
  });
  offer.append(words, text, forget);
  notice.after(offer);
}

editor.dataset.script = "on";
for (const form of editor.querySelectorAll("form[data-card]")) track(form);
for (const id of kept.cards()) if (!formOf(id)) offerWithoutForm(id);
updateSaveState();
