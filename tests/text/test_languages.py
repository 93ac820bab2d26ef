import unicodedata

import pytest

from seallm_edge.text.languages import LANGUAGES, by_code, detect_language

SAMPLES = {
    "en": "What is the weather like in the city today?",
    "zh": "今天城里的天气怎么样？",
    "id": "Bagaimana cuaca di kota hari ini? Saya tidak bisa keluar karena hujan.",
    "vi": "Hôm nay thời tiết trong thành phố như thế nào?",
    "th": "วันนี้อากาศในเมืองเป็นอย่างไร",
    "tl": "Kumusta ang panahon sa lungsod ngayon?",
    "ms": "Bagaimana cuaca di bandar hari ini? Saya tidak boleh keluar kerana hujan.",
    "my": "ဒီနေ့ မြို့ထဲမှာ ရာသီဥတု ဘယ်လိုလဲ",
    "km": "តើអាកាសធាតុនៅទីក្រុងថ្ងៃនេះយ៉ាងម៉េចដែរ?",
    "lo": "ມື້ນີ້ອາກາດໃນເມືອງເປັນແນວໃດ",
    "ta": "இன்று நகரத்தில் வானிலை எப்படி உள்ளது?",
    "jv": "Kepriye cuacane ing kutha dina iki? Aku ora bisa metu amarga udan.",
}


def test_there_are_twelve_languages_each_with_its_own_code() -> None:
    assert sorted(language.code for language in LANGUAGES) == sorted(SAMPLES)


@pytest.mark.parametrize("code", SAMPLES)
def test_a_sentence_is_guessed(code: str) -> None:
    assert detect_language(SAMPLES[code]) == by_code(code)


def test_decomposed_vietnamese_is_guessed_too() -> None:
    assert detect_language(unicodedata.normalize("NFD", SAMPLES["vi"])) == by_code("vi")


def test_the_script_of_most_letters_decides() -> None:
    assert detect_language("Python: " + SAMPLES["my"]) == by_code("my")


def test_javanese_in_its_own_script_is_guessed() -> None:
    assert detect_language("ꦱꦸꦒꦼꦁꦫꦮꦸꦃ") == by_code("jv")


@pytest.mark.parametrize("text", ["", "12:30 !?", "Привет"])
def test_text_in_no_script_of_ours_is_in_no_language(text: str) -> None:
    assert detect_language(text) is None


def test_unknown_code_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        by_code("xx")
