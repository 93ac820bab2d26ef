"""Chart of the results of benchmarks/drafting.py: characters per second by language, with draft tokens and without.

python benchmarks/drafting_chart.py Q8.json Q4.json -o docs/drafting.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from xml.sax.saxutils import escape

NAMES = {
    "my": "Burmese", "km": "Khmer", "lo": "Lao", "ta": "Tamil", "th": "Thai", "tl": "Tagalog", "id": "Indonesian",
    "ms": "Malay", "jv": "Javanese", "vi": "Vietnamese", "zh": "Chinese", "en": "English",
}  # fmt: skip
ROW, BAR, LEFT, WIDTH, GAP = 34, 12, 90, 250, 140
WITHOUT, WITH = "#b8c4cc", "#0b7a75"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    results = [json.loads(path.read_text()) for path in arguments.results]
    arguments.output.write_text(picture(results), encoding="utf-8")


def picture(results: list[dict]) -> str:
    """SVG of several results side by side."""
    height = 70 + ROW * len(NAMES)
    width = LEFT + (WIDTH + GAP) * len(results)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<rect x="{LEFT}" y="8" width="12" height="12" fill="{WITHOUT}"/><text x="{LEFT + 18}" y="18">without</text>',
        f'<rect x="{LEFT + 90}" y="8" width="12" height="12" fill="{WITH}"/><text x="{LEFT + 108}" y="18">'
        "with draft tokens, characters per second and how many times as fast</text>",
    ]
    for i, name in enumerate(NAMES.values()):
        parts.append(f'<text x="{LEFT - 8}" y="{70 + i * ROW + 16}" text-anchor="end">{escape(name)}</text>')
    for column, result in enumerate(results):
        parts += panel(result, LEFT + column * (WIDTH + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(result: dict, left: int) -> list[str]:
    """Bars of one model."""
    found = result["languages"]
    scale = WIDTH / max(value["with"] for value in found.values())
    parts = [f'<text x="{left}" y="48" font-weight="bold">1.5B {escape(result["model"])}</text>']
    for i, language in enumerate(NAMES):
        if language not in found:
            continue
        value, top = found[language], 70 + i * ROW
        for n, (key, colour) in enumerate((("without", WITHOUT), ("with", WITH))):
            length = value[key] * scale
            parts.append(
                f'<rect x="{left}" y="{top + n * (BAR + 1)}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
            )
            label = f"{value[key]:.0f}" + (f" · {value['ratio']:.2f}" if key == "with" else "")
            parts.append(
                f'<text x="{left + length + 4:.1f}" y="{top + n * (BAR + 1) + 10}" font-size="11">{label}</text>'
            )
    return parts


if __name__ == "__main__":
    main()
