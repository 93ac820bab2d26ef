// Language of a text by its script, while the reply still streams; the server tells it at the end.

const SCRIPTS = [
  ["th", /\p{Script=Thai}/gu],
  ["lo", /\p{Script=Lao}/gu],
  ["km", /\p{Script=Khmer}/gu],
  ["my", /\p{Script=Myanmar}/gu],
  ["ta", /\p{Script=Tamil}/gu],
  ["jv", /\p{Script=Javanese}/gu],
  ["zh", /\p{Script=Han}/gu],
];
const SAMPLE = 400;

/** ISO 639-1 code of a text's language by its script; "" where the script has several. */
export function languageOf(text) {
  const sample = text.slice(0, SAMPLE);
  const counts = SCRIPTS.map(([code, pattern]) => [sample.match(pattern)?.length ?? 0, code]);
  const [most, code] = counts.reduce((best, one) => (one[0] > best[0] ? one : best));
  const latin = sample.match(/\p{Script=Latin}/gu)?.length ?? 0;
  return most > latin ? code : "";
}
