// Text that is not saved yet, kept in this browser until it is: a crash, a lost session or a lost connection costs nothing.
// Kept per person, incident and card, so that nobody is offered somebody else's text.
const PREFIX = "precedent:kept:";
const DAYS = 30;

export class Kept {
  constructor(owner) {
    this.prefix = `${PREFIX}${owner}:`;
    forgetOld();
  }

  // `kept` is {at, hidden, fields}; a browser without room or without storage keeps nothing, and saving goes on.
  put(card, kept) {
    try {
      localStorage.setItem(this.prefix + card, JSON.stringify({ at: Date.now(), ...kept }));
    } catch { /* the text is still on the page, and the page warns before it is left */ }
  }

  get(card) {
    try {
      return JSON.parse(localStorage.getItem(this.prefix + card));
    } catch {
      return null;
    }
  }

  // The names of all cards of which something is kept.
  cards() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length));
    } catch {
      return [];
    }
  }

  drop(card) {
    try {
      localStorage.removeItem(this.prefix + card);
    } catch { /* nothing was kept */ }
  }
}

function forgetOld() {
  try {
    const oldest = Date.now() - DAYS * 86400000;
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(PREFIX) && !(JSON.parse(localStorage.getItem(key)).at > oldest)) localStorage.removeItem(key);
    }
  } catch { /* storage is closed or holds something else under our name */ }
}
