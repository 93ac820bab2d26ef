// Turns under way. One goes on while another conversation is open: its text is there when its user comes back.

import { call, turn } from "./api.js";
import { Tree } from "./tree.js";

/** Conversation as the server has it, and what it takes of the context of a model that is in memory. */
export async function storedTree(id, model) {
  const query = new URLSearchParams(model ? { model } : {});
  return new Tree(await call(`/seallm/conversations/${encodeURIComponent(id)}?${query}`));
}

/** Turns of all conversations that this page began, one of each. */
export class Turns {
  constructor() {
    this.trees = new Set();
  }

  /** Tree of a conversation whose reply is under way, or undefined. */
  of(id) {
    return [...this.trees].find((tree) => tree.id === id);
  }

  /** Events of a turn of a tree, whose messages grow with them. Raises as `turn` does. */
  async *run(tree, asked, branch) {
    const controller = new AbortController();
    tree.running = { asked, branch, isStored: false, stop: () => controller.abort() };
    this.trees.add(tree);
    try {
      for await (const event of turn(asked, controller.signal)) {
        this.#take(tree, event);
        yield event;
      }
      if (tree.running.isMoved) await this.#readBack(tree, asked.model);
    } catch (error) {
      if (tree.id) await this.#readBack(tree, asked.model);
      throw error;
    } finally {
      tree.running = null;
      this.trees.delete(tree);
    }
  }

  #take(tree, event) {
    if (event.type === "start") {
      tree.running.isStored = true;
      moveTo(tree, event.conversation);
      tree.title ||= event.messages[0].content.trim().split("\n")[0].slice(0, 60);
      tree.put(...event.messages);
      tree.running.reply = event.messages.at(-1);
    } else if (event.type === "delta") tree.running.reply.content += event.text;
    else if (event.type === "end" && event.message) {
      moveTo(tree, event.conversation);
      tree.put(event.message);
      tree.context = event.context;
    }
  }

  /** What the server has of a turn that failed; without the server, the text that has come. */
  async #readBack(tree, model) {
    try {
      const { messages, leaf, context } = await storedTree(tree.id, model);
      Object.assign(tree, { messages, leaf, context });
    } catch {
      const { reply } = tree.running;
      if (reply) tree.put({ ...reply, state: "cut" });
    }
  }
}

/** A conversation whose file failed, or can be written again, has other ids from then on: its messages are read again. */
function moveTo(tree, id) {
  tree.running.isMoved ||= Boolean(tree.id) && tree.id !== id;
  tree.id = id;
}
