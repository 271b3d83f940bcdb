// Keeps unsaved text in this browser until it is saved, so that a crash, an expired session or a lost connection loses nothing.
// It is kept per user, incident and card, so that no one is offered another user's text.
const PREFIX = "precedent:kept:";
const DAYS = 30;

export class Kept {
  constructor(owner) {
    this.prefix = `${PREFIX}${owner}:`;
    forgetOld();
  }

  // `kept` is {hidden, fields}, stored with the time as `at`. A browser without storage, or without room, keeps nothing.
  put(card, kept) {
    try {
      localStorage.setItem(this.prefix + card, JSON.stringify({ at: Date.now(), ...kept }));
    } catch { /* the text is still on the page, which warns before it is left */ }
  }

  get(card) {
    try {
      return JSON.parse(localStorage.getItem(this.prefix + card));
    } catch {
      return null;
    }
  }

  // The ids of all cards with kept text.
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
  } catch { /* storage is unavailable, or holds something else under our prefix */ }
}
