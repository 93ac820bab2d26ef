"""A few plain sentences in each of the 12 languages, in NFC."""

SENTENCES = {
    "en": "The market opens at 6 o'clock, and we'll buy rice, fish and 12 eggs before it rains.",
    "zh": "市场早上六点开门，我们在下雨之前去买米、鱼和十二个鸡蛋。",
    "id": "Pasar buka pukul enam pagi, jadi kami membeli beras, ikan, dan 12 butir telur sebelum hujan turun.",
    "vi": "Chợ mở cửa lúc sáu giờ sáng, chúng tôi mua gạo, cá và 12 quả trứng trước khi trời mưa. Tiếng Việt rất đẹp!",
    "th": "ตลาดเปิดหกโมงเช้า เราจะซื้อข้าว ปลา และไข่ ๑๒ ฟอง ก่อนฝนตก น้ำตกสวยมาก",
    "tl": "Bukas ang palengke nang alas-sais ng umaga; bibili kami ng bigas, isda at 12 itlog bago umulan.",
    "ms": "Pasar dibuka pada pukul enam pagi, maka kami membeli beras, ikan dan 12 biji telur sebelum hujan.",
    "my": "ဈေးက မနက်ခြောက်နာရီမှာ ဖွင့်တယ်။ မိုးမရွာခင် ဆန်၊ ငါးနဲ့ ကြက်ဥ ၁၂ လုံး ဝယ်မယ်။",
    "km": "ផ្សារបើកនៅម៉ោងប្រាំមួយព្រឹក។ យើងទិញអង្ករ ត្រី និងពងមាន់ ១២ គ្រាប់ មុនពេលភ្លៀង។",
    "lo": "ຕະຫຼາດເປີດຫົກໂມງເຊົ້າ ພວກເຮົາຊື້ເຂົ້າ ປາ ແລະ ໄຂ່ ໑໒ ໜ່ວຍ ກ່ອນຝົນຕົກ",
    "ta": "சந்தை காலை ஆறு மணிக்குத் திறக்கும்; மழைக்கு முன் அரிசி, மீன், 12 முட்டைகள் வாங்குவோம். பொன்னும் கொடுப்போம்.",
    "jv": "Pasar bukak jam enem ésuk, mula aku tuku beras, iwak, lan 12 endhog sadurungé udan. Sugeng énjing, lèrèn.",
}
