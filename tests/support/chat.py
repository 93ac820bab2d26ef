"""`seallm chat` with the demo model at a terminal, loaded and at its prompt."""

from __future__ import annotations

from support.terminal import Terminal

DEMO = "smollm2-135m-instruct"
CAPITAL = "What is the capital of Japan?"
ANSWER = "The capital of Japan is Tokyo."
GREEDY = ("--temperature", "0", "--max-tokens", "24", "--context", "1024")
ENTER, CTRL_C, CTRL_D, BACKSPACE = "\r", "\x03", "\x04", "\x7f"
LOADED = " tokens ("  # in the status line


class Chat(Terminal):
    """Terminal with a chat. `loaded` is what its status line says once the model is there."""

    def __init__(
        self,
        command: list[str],
        columns: int = 100,
        rows: int = 24,
        env: dict[str, str] | None = None,
        loaded: str = LOADED,
    ) -> None:
        super().__init__(command, rows=rows, columns=columns, env=env)
        self.loaded = loaded
        self.wait_for(loaded)

    def ask(self, message: str, expected: str) -> None:
        """Send a message, wait for a part of the reply, and for the prompt after it."""
        self.type(message + ENTER)
        self.wait_for(expected)
        self.wait_for_prompt()

    def wait_for_prompt(self, line: str = "›") -> None:
        """Wait until the chat has an input line, and the status under it says how full the context is."""
        self.wait_for(lambda rows: self.loaded in "".join(rows[-1:]) and line in rows)

    def conversation(self) -> list[str]:
        """All rows but the status at the bottom and the free ones above it."""
        rows = self.text().splitlines()
        rows = rows[:-1] if self.loaded in rows[-1] or "Ctrl-C stops" in rows[-1] else rows
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def leave(self) -> int | None:
        """Exit code after Ctrl-D."""
        self.type(CTRL_D)
        return self.end()
