// Creates, lists and revokes the signed-in user's tokens, over the same REST API that tools use.
const section = document.getElementById("tokens");
const url = section.dataset.url;
const csrf = section.querySelector("[name=csrfmiddlewaretoken]").value;
const problem = document.getElementById("token-problem");
const form = document.getElementById("new-token");
const made = document.getElementById("token-made");
const secret = document.getElementById("token-secret");

const calendar = (timeZone) => new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone });

// 31 March 2026, in the page's time zone, or in the browser's own if it does not know that zone.
const day = (text) => {
  let words;
  try {
    words = calendar(section.dataset.zone);
  } catch {
    words = calendar();
  }
  return words.format(new Date(text));
};

// What the server refused, as nodes and texts to show.
class Refused extends Error {
  constructor(...words) {
    super();
    this.words = words;
  }
}

const refusal = (body) => {
  if (body.code === "not_authenticated") {
    const link = document.createElement("a");
    link.href = section.dataset.signIn;
    link.textContent = "Sign in again";
    return new Refused("You are signed out. ", link, ".");
  }
  return new Refused(body.errors?.map(({ field, message }) => `${labelOf(field)}${message}`).join(" ") || body.detail || body.title);
};

const labelOf = (field) => {
  const label = form.elements.namedItem(field)?.labels[0].textContent;
  return label ? `${label}: ` : "";
};

// URLs in responses start with the configured BASE_URL, but this page may have been opened under another host name.
const call = async (address, options = {}) => {
  const { pathname, search } = new URL(address, location.href);
  const headers = { "X-CSRFToken": csrf, "Content-Type": "application/json", ...options.headers };
  const response = await fetch(pathname + search, { credentials: "same-origin", ...options, headers });
  const body = response.status === 204 ? null : await response.json();
  if (!response.ok) throw refusal(body);
  return body;
};

const describe = (token) => {
  const scope = token.scope === "write" ? "reads and writes" : "reads";
  const used = token.last_used ? `last used ${day(token.last_used)}` : "never used";
  const until = token.expires_at ? `, until ${day(token.expires_at)}` : "";
  return `${scope}${until}, ${used}`;
};

const row = (token) => {
  const item = document.createElement("li");
  item.className = "person";
  const text = document.createElement("span");
  const name = document.createElement("b");
  name.textContent = token.name;
  const about = document.createElement("span");
  about.className = "hint";
  about.textContent = describe(token);
  text.append(name, document.createElement("br"), about);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Revoke";
  button.setAttribute("aria-label", `Revoke ${token.name}`);
  button.addEventListener("click", () => attempt(async () => {
    await call(token.url, { method: "DELETE", headers: { "If-Match": "*" } });
    if (made.dataset.of === token.url) showSecret();
    await list();
    document.getElementById("yours").focus();
  }));
  item.append(text, button);
  return item;
};

const attempt = async (step) => {
  problem.hidden = true;
  try {
    await step();
  } catch (error) {
    problem.replaceChildren(...(error.words ?? [error.message]));
    problem.hidden = false;
  }
};

// Shows the secret of a token that was just created, or without one, nothing.
const showSecret = (created) => {
  secret.textContent = created?.token ?? "";
  made.dataset.of = created?.url ?? "";
  made.hidden = !created;
};

const all = async () => {
  const tokens = [];
  for (let next = `${url}?page_size=100`; next;) {
    const page = await call(next);
    tokens.push(...page.results);
    next = page.next;
  }
  return tokens;
};

const list = async () => {
  const tokens = await all();
  document.getElementById("token-list").replaceChildren(...tokens.map(row));
  document.getElementById("no-tokens").hidden = tokens.length > 0;
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const body = { name: form.elements.namedItem("name").value, scope: form.scope.value, days: Number(form.days.value) };
    const created = await call(url, { method: "POST", body: JSON.stringify(body) });
    showSecret(created);
    form.reset();
    await list();
  });
});

section.hidden = false;
attempt(list);
