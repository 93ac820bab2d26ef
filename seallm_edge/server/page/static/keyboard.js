// Enter sends, Shift+Enter makes a new line. Enter that ends an input method's composition does neither.

const isPhone = matchMedia("(pointer: coarse)");

/** Call `send` on Enter, where that is what the user means, and `cancel` on Escape. */
export function watchEnter(area, send, cancel = () => {}) {
  let isComposing = false;
  area.addEventListener("compositionstart", () => {
    isComposing = true;
  });
  area.addEventListener("compositionend", () => {
    // Safari tells of the key that ended the composition after its end.
    setTimeout(() => {
      isComposing = false;
    });
  });
  area.addEventListener("keydown", (event) => {
    if (isComposing || event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") cancel();
    if (event.key !== "Enter" || event.shiftKey || isPhone.matches) return;
    event.preventDefault();
    send();
  });
}

/** Let a text area grow with its text. */
export function growWithText(area) {
  const fit = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  area.addEventListener("input", fit);
  return fit;
}
