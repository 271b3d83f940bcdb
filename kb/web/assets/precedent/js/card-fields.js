// Reads and fills the fields of one card, as lists of [name, value] in the order of the form.

// Versions, the values a card was opened with and the CSRF token are not text that the user typed.
const TECHNICAL_FIELDS = ["csrfmiddlewaretoken", "version", "zone"];
const isTechnical = (name) => TECHNICAL_FIELDS.includes(name) || name.startsWith("base-") || name.startsWith("seen-");

export function fieldsOf(form) {
  return [...new FormData(form)].filter(([name, value]) => !isTechnical(name) && typeof value === "string");
}

// Line breaks are normalized to one character: a browser's form data may write them as two.
export function snapshot(form) {
  return JSON.stringify(fieldsOf(form).map(([name, value]) => [name, value.replaceAll("\r\n", "\n")]));
}

export function hiddenOf(form) {
  return [...form.querySelectorAll(".state input")].map((input) => [input.name, input.value]);
}

export function fill(form, fields) {
  const valuesByName = new Map();
  for (const [name, value] of fields) valuesByName.set(name, [...(valuesByName.get(name) ?? []), value]);
  for (const box of form.querySelectorAll(".line-list")) while (growLines(box, valuesByName.get(box.querySelector("input").name)?.length ?? 0));
  for (const element of form.elements) {
    if (!element.name || isTechnical(element.name) || element.type === "submit") continue;
    if (element.type === "radio" || element.type === "checkbox") {
      element.checked = (valuesByName.get(element.name) ?? []).includes(element.value);
    } else if (valuesByName.has(element.name)) {
      element.value = valuesByName.get(element.name).shift() ?? "";
    }
  }
}

export function setHidden(form, hidden) {
  for (const [name, value] of hidden) {
    const input = form.querySelector(`.state input[name="${CSS.escape(name)}"]`);
    if (input) input.value = value;
    for (const place of form.querySelectorAll(`[data-tells="${CSS.escape(name)}"]`)) place.textContent = value;
  }
}

// Adds an empty line to a list of lines if its last line is not empty, or if it has fewer than `count`. True when it did.
export function growLines(box, count = 0) {
  const lines = box.querySelectorAll("input");
  const last = lines[lines.length - 1];
  if (last.value.trim() === "" && lines.length >= count) return false;
  const next = last.cloneNode();
  next.value = "";
  next.setAttribute("aria-label", last.getAttribute("aria-label").replace(/\d+$/, lines.length + 1));
  box.append(next);
  return true;
}
