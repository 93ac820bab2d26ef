"""Two sentences in each of the 12 languages, to test a tokenizer on difficult text.

They have digits of several scripts, punctuation and emoji, letters with several Unicode compositions, and invisible
characters: joiners and non-joiners (U+200D, U+200C) and Khmer's zero-width spaces (U+200B).
"""

from __future__ import annotations

from .languages import Language, by_code, detect_language

SENTENCES = {
    "en": (
        "The bus to the clinic leaves at 7:45 and the ticket costs $1.20, so don't be late! 🚌",
        "My grandmother's recipe takes 3 cups of rice, half a coconut and a pinch of salt. 👩\u200d🍳",
    ),
    "zh": (
        "去诊所的公交车7点45分出发，车票3元，别迟到！🚌",
        "奶奶的菜谱要用3杯米、半个椰子和一小撮盐。👩\u200d🍳",
    ),
    "id": (
        "Bus ke puskesmas berangkat pukul 07.45 dan karcisnya Rp5.000, jadi jangan terlambat! 🚌",
        "Resep nenek saya memerlukan 3 cangkir beras, setengah butir kelapa, dan sejumput garam. 👩\u200d🍳",
    ),
    "vi": (
        "Xe buýt đến trạm y tế chạy lúc 7 giờ 45, giá vé là 8.000 đồng, đừng đến muộn nhé! 🚌",
        "Công thức của bà tôi cần 3 chén gạo, nửa quả dừa và một nhúm muối. 👩\u200d🍳",
    ),
    "th": (
        "รถเมล์ไปสถานีอนามัยออกเวลา 7.45 น. ค่าโดยสาร ๑๒ บาท อย่ามาสายนะ! 🚌",
        "สูตรของคุณยายใช้ข้าวสาร 3 ถ้วย มะพร้าวครึ่งลูก น้ำเปล่า และเกลือหนึ่งหยิบมือ 👩\u200d🍳",
    ),
    "tl": (
        "Aalis ang bus papuntang klinika nang 7:45 ng umaga at ₱15 ang pamasahe, kaya huwag kang mahuhuli! 🚌",
        "Kailangan sa resipe ng lola ko ang 3 tasang bigas, kalahating niyog, at isang kurot ng asin. 👩\u200d🍳",
    ),
    "ms": (
        "Bas ke klinik bertolak pada pukul 7.45 pagi dan tambangnya RM2.50, jadi jangan lewat! 🚌",
        "Resipi nenek saya memerlukan 3 cawan beras, separuh biji kelapa dan secubit garam. 👩\u200d🍳",
    ),
    "my": (
        "ဆေးခန်းသွားမယ့် ဘတ်စ်ကားက မနက် ၇ နာရီ ၄၅ မိနစ်မှာ ထွက်မယ်၊ နောက်မကျပါစေနဲ့။ 🚌",
        "အဖွားရဲ့ ဟင်းချက်နည်းမှာ ဆန် ၃ ခွက်၊ အုန်းသီးတစ်ခြမ်းနဲ့ ဆားအနည်းငယ် လိုတယ်။ 👩\u200d🍳",
    ),
    "km": (
        "ឡានក្រុង\u200bទៅ\u200bមណ្ឌលសុខភាព\u200bចេញ\u200bនៅ\u200bម៉ោង ៧:៤៥ ព្រឹក "
        "សំបុត្រ\u200bថ្លៃ ១៥០០ រៀល សូម\u200bកុំ\u200bមក\u200bយឺត! 🚌",
        "រូបមន្ត\u200bម្ហូប\u200bរបស់\u200bជីដូន\u200bខ្ញុំ\u200bត្រូវការ\u200bអង្ករ 3 ពែង "
        "ដូង\u200bកន្លះ\u200bផ្លែ និង\u200bអំបិល\u200bបន្តិច។ 👩\u200d🍳",
    ),
    "lo": (
        "ລົດເມໄປສຸກສາລາອອກເວລາ 7:45 ໂມງ ຄ່າໂດຍສານ ໕.໐໐໐ ກີບ ຢ່າມາຊ້າເດີ! 🚌",
        "ສູດອາຫານຂອງແມ່ຕູ້ໃຊ້ເຂົ້າສານ 3 ຈອກ ໝາກພ້າວເຄິ່ງໜ່ວຍ ແລະ ເກືອໜ້ອຍໜຶ່ງ. 👩\u200d🍳",
    ),
    "ta": (
        "மருத்துவமனைக்குச் செல்லும் பேருந்து காலை 7:45 மணிக்குப் புறப்படும்; ஆட்டோ ரிக்\u200cஷா ₹50 கேட்கும், தாமதிக்காதே! 🚌",
        "பாட்டியின் சமையல் குறிப்புக்கு 3 கோப்பை அரிசி, பாதித் தேங்காய், ஒரு சிட்டிகை உப்பு வேண்டும். 👩\u200d🍳",
    ),
    "jv": (
        "Bis menyang puskesmas mangkat jam 07.45 lan karcisé Rp5.000, mula aja nganti kèri! 🚌",
        "Resèpé simbahku butuh beras 3 cangkir, klapa separo, lan uyah sajumput. 👩\u200d🍳",
    ),
}

TEXTS = tuple(sentence for both in SENTENCES.values() for sentence in both)


def language_of(text: str) -> Language | None:
    """Language of one of `TEXTS`; for any other text the detected one, None without letters."""
    code = next((code for code, both in SENTENCES.items() if text in both), None)
    return by_code(code) if code else detect_language(text)
