// What this browser keeps: settings, the key, and texts that were not sent. Where it may keep nothing, until the page ends.

const memory = new Map();

/** Value of a name, or null. */
export function kept(name) {
  try {
    return localStorage.getItem(name) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

/** Keep a value under a name; "" forgets it. */
export function keep(name, value) {
  memory.delete(name);
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch {
    if (value) memory.set(name, value); // storage is blocked, or full
  }
}
