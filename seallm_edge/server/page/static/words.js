// Words of the page in the user's language; English is in the code.

const OTHER_CODES = { fil: "tl", in: "id", jw: "jv" };
const CODES = ["en", "zh", "id", "vi", "th", "tl", "ms", "my", "km", "lo", "ta", "jv"];
let words = {};
let code = "en";

/** Message in the user's language, with facts in place of {names}. */
export function _(message, facts = {}) {
  return (words[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => facts[name] ?? whole);
}

/** Code of the language in use. */
export const language = () => code;

/** Number as the user's language writes it; digits stay 0 to 9, as elsewhere in the product. */
export const number = (value) => value.toLocaleString(`${code}-u-nu-latn`);

/** Use a language from now on; without a code that of the browser. */
export async function useLanguage(chosen) {
  code = CODES.includes(chosen) ? chosen : ofBrowser();
  words = code === "en" ? {} : await fetched(code);
  document.documentElement.lang = code;
}

async function fetched(name) {
  try {
    const response = await fetch(`/page/words/${name}.json`);
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

function ofBrowser() {
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]).map((one) => OTHER_CODES[one] ?? one);
  return wanted.find((one) => CODES.includes(one)) ?? "en";
}
