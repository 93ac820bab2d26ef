// What goes wrong with requests: the server is away, asks for a key, or refuses.

import { Away, Refused, health, setKey } from "./api.js";
import { askText } from "./dialogs.js";
import * as status from "./status.js";
import { _ } from "./words.js";

const RETRY_MS = 2000;

/** Connection to the server. `refresh` is called when it can be used again. */
export class Connection {
  constructor(refresh) {
    this.refresh = refresh;
    this.isWaiting = false;
  }

  /** Do something that asks the server, and say what went wrong. */
  async guarded(work) {
    try {
      await work();
    } catch (error) {
      this.tell(error);
    }
  }

  /** Say what went wrong, and do what mends it. */
  tell(error) {
    if (error instanceof Away) this.#waitForServer();
    else if (error instanceof Refused && error.status === 401) this.#askKey();
    else if (error.name !== "AbortError") status.showProblem(error.message);
  }

  async #waitForServer() {
    status.showAway();
    if (this.isWaiting) return;
    this.isWaiting = true;
    while (this.isWaiting) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      try {
        await health();
        this.isWaiting = false;
      } catch {
        status.showAway();
      }
    }
    status.say(_("The server is back."));
    await this.guarded(() => this.refresh());
  }

  async #askKey() {
    if (document.querySelector("dialog")) return;
    const key = await askText(_("This server asks for a key"), _("Key"), "", "password");
    if (!key) return;
    setKey(key.trim());
    await this.guarded(() => this.refresh());
  }
}
