"""The 12 languages of SeaLLMs, and language detection among them.

Detection serves messages to people ("Burmese, 5,900 characters"): by script, and among Latin-script languages by a few
very frequent words. It knows no other languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

_SAMPLE = 4_000  # characters that detection reads; more do not change its result


@dataclass(frozen=True)
class Language:
    """Language: ISO 639-1 code, English name, native name, and script."""

    code: str
    name: str
    native_name: str
    script: str


LANGUAGES = (
    Language("en", "English", "English", "Latin"),
    Language("zh", "Chinese", "中文", "Han"),
    Language("id", "Indonesian", "Bahasa Indonesia", "Latin"),
    Language("vi", "Vietnamese", "Tiếng Việt", "Latin"),
    Language("th", "Thai", "ไทย", "Thai"),
    Language("tl", "Tagalog", "Tagalog", "Latin"),
    Language("ms", "Malay", "Bahasa Melayu", "Latin"),
    Language("my", "Burmese", "မြန်မာ", "Myanmar"),
    Language("km", "Khmer", "ខ្មែរ", "Khmer"),
    Language("lo", "Lao", "ລາວ", "Lao"),
    Language("ta", "Tamil", "தமிழ்", "Tamil"),
    Language("jv", "Javanese", "Basa Jawa", "Latin"),
)

_RANGES = {  # script: blocks of Unicode, last code point included
    "Latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)),
    "Han": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    "Thai": ((0xE00, 0xE7F),),
    "Lao": ((0xE80, 0xEFF),),
    "Myanmar": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
    "Khmer": ((0x1780, 0x17FF), (0x19E0, 0x19FF)),
    "Tamil": ((0xB80, 0xBFF),),
    "Javanese": ((0xA980, 0xA9DF),),
}
_WORDS = {  # words frequent in one Latin-script language and rare or absent in the others
    "en": "the of and to is that for it you are with this what how be was not my i can please",
    "id": "yang dan di itu untuk tidak dengan adalah karena bisa kamu apa saya ini bagaimana sudah akan anda mereka",
    "ms": "yang dan di itu untuk tidak dengan ialah kerana boleh awak apa saya ini bagaimana sudah akan anda mereka",
    "tl": "ang ng sa na mga ay ko ako mo ikaw hindi ano para kung ito po siya paano nang at",
    "jv": "lan ing kang iku ora sing karo apa aku kowe iki saka wis arep kanggo yaiku piye ana marang bisa kula",
    "vi": "và là của có không tôi bạn cho các được một này người với những trong khi",
}
# Letters with a hook, a horn, a dot below or two accents: no other of the 12 has them.
_VIETNAMESE = re.compile("[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)


def by_code(code: str) -> Language:
    """The language with this ISO 639-1 code. Raises KeyError."""
    return {language.code: language for language in LANGUAGES}[code]


def detect_language(text: str) -> Language | None:
    """Most likely language of `text`; None without a letter of any of the scripts."""
    sample = unicodedata.normalize("NFC", text[:_SAMPLE])
    scripts = Counter(script for char in sample if (script := _script(char)))
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    if script == "Javanese":
        return by_code("jv")
    if script == "Latin":
        return _detect_latin(sample)
    return next(language for language in LANGUAGES if language.script == script)


def _detect_latin(sample: str) -> Language:
    if len(_VIETNAMESE.findall(sample)) * 25 > len(sample):
        return by_code("vi")
    words = Counter(re.findall(r"[^\W\d_]+", sample.lower()))
    scores = {code: sum(words[word] for word in listed.split()) for code, listed in _WORDS.items()}
    return by_code(max(scores, key=lambda code: scores[code]))


def _script(char: str) -> str | None:
    point = ord(char)
    for script, blocks in _RANGES.items():
        if any(first <= point <= last for first, last in blocks):
            return script
    return None
