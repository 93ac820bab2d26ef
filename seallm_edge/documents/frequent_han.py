"""Frequency of Chinese characters, by a list of the most frequent ones and by the order of two national standards.

GB 2312 and Big5 put the characters in general use into a first level, and rare ones into a second.
"""

from __future__ import annotations

import functools

# The 500 or so most frequent characters of modern text, and the traditional forms of those that have others.
_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性"
    "知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次"
    "度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建"
    "务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路"
    "记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运吗吧请谢早晚喜欢吃饭钱车店买卖医病药"
    "這個們來為國說時會對發後裡種經學現當沒動還進樣開從實軍無與長機關點業將兩間問應戰頭體見產話東聲員論處義幾認條氣題爾別變總電"
    "數報結務場計資許統區隊決馬書則聽卻達強難權設記類據邊張該規萬術領確傳師觀讓識帶導爭運嗎請謝歡飯錢車買賣醫藥"
)


def is_frequent(char: str) -> bool:
    """Whether `char` is one of the most frequent Chinese characters, simplified or traditional."""
    return char in _FREQUENT


@functools.lru_cache(maxsize=16_384)
def is_listed(char: str) -> bool:
    """Whether `char` is in the first level of GB 2312 or of Big5, some 8,000 characters in general use."""
    return _lead_byte(char, "gb2312") in range(0xB0, 0xD8) or _lead_byte(char, "big5") in range(0xA4, 0xC7)


def _lead_byte(char: str, codec: str) -> int:
    """First byte of `char` in a two-byte codec; 0 where it has no such character."""
    return (char.encode(codec, "ignore") or b"\0")[0]
