"""Plain prose about daily life in each of the 12 languages, the same five sentences, to measure what text costs.

Ordinary words, no digits and no emoji, unlike `samples`. No draft table was counted from it.
"""

from __future__ import annotations

PROSE = {
    "en": (
        "In the morning my mother goes to the market to buy vegetables, fish and rice. "
        "The market is not far from our house, so she walks. "
        "At noon the whole family eats together and talks about the day. "
        "In the afternoon the children come home from school and play in front of the house until it gets dark. "
        "When it rains, everyone stays inside and listens to the stories that grandfather tells."
    ),
    "zh": (
        "早上，我妈妈去市场买蔬菜、鱼和大米。"
        "市场离我们家不远，所以她走路去。"
        "中午全家人一起吃饭，聊聊当天的事情。"
        "下午孩子们放学回家，在屋前玩到天黑。"
        "下雨的时候，大家都待在家里，听爷爷讲故事。"
    ),
    "id": (
        "Pada pagi hari ibu saya pergi ke pasar untuk membeli sayur, ikan, dan beras. "
        "Pasar itu tidak jauh dari rumah kami, jadi ibu berjalan kaki. "
        "Pada siang hari seluruh keluarga makan bersama dan berbicara tentang hari itu. "
        "Pada sore hari anak-anak pulang dari sekolah dan bermain di depan rumah sampai hari gelap. "
        "Kalau hujan turun, semua orang tinggal di dalam rumah dan mendengarkan cerita dari kakek."
    ),
    "vi": (
        "Buổi sáng mẹ tôi đi chợ để mua rau, cá và gạo. "
        "Chợ không xa nhà chúng tôi nên mẹ đi bộ. "
        "Buổi trưa cả nhà cùng ăn cơm và kể cho nhau nghe chuyện trong ngày. "
        "Buổi chiều trẻ con đi học về và chơi trước nhà cho đến khi trời tối. "
        "Khi trời mưa, mọi người ở trong nhà và nghe ông kể chuyện."
    ),
    "th": (
        "ตอนเช้าแม่ของฉันไปตลาดเพื่อซื้อผัก ปลา และข้าวสาร "
        "ตลาดอยู่ไม่ไกลจากบ้านของเรา แม่จึงเดินไป "
        "ตอนเที่ยงทั้งครอบครัวกินข้าวด้วยกันและพูดคุยเรื่องต่าง ๆ ของวันนั้น "
        "ตอนบ่ายเด็ก ๆ กลับจากโรงเรียนและเล่นอยู่หน้าบ้านจนมืด "
        "เวลาฝนตกทุกคนอยู่ในบ้านและฟังเรื่องที่คุณตาเล่า"
    ),
    "tl": (
        "Sa umaga pumupunta ang nanay ko sa palengke para bumili ng gulay, isda, at bigas. "
        "Hindi malayo ang palengke sa bahay namin kaya naglalakad lang siya. "
        "Sa tanghali sabay-sabay kumakain ang buong pamilya at nagkukuwentuhan tungkol sa araw na iyon. "
        "Sa hapon umuuwi ang mga bata mula sa paaralan at naglalaro sa harap ng bahay hanggang dumilim. "
        "Kapag umuulan, nasa loob ng bahay ang lahat at nakikinig sa mga kuwento ng lolo."
    ),
    "ms": (
        "Pada waktu pagi ibu saya pergi ke pasar untuk membeli sayur, ikan dan beras. "
        "Pasar itu tidak jauh dari rumah kami, jadi ibu berjalan kaki sahaja. "
        "Pada waktu tengah hari seluruh keluarga makan bersama-sama dan berbual tentang hari itu. "
        "Pada waktu petang kanak-kanak pulang dari sekolah dan bermain di hadapan rumah sehingga hari gelap. "
        "Apabila hujan turun, semua orang duduk di dalam rumah dan mendengar cerita datuk."
    ),
    "my": (
        "မနက်ပိုင်းမှာ ကျွန်တော့်အမေက ဟင်းသီးဟင်းရွက်၊ ငါးနဲ့ ဆန်ဝယ်ဖို့ ဈေးကို သွားပါတယ်။ "
        "ဈေးက ကျွန်တော်တို့အိမ်နဲ့ မဝေးတဲ့အတွက် အမေက လမ်းလျှောက်သွားပါတယ်။ "
        "နေ့လယ်မှာ မိသားစုအားလုံး ထမင်းအတူစားပြီး အဲဒီနေ့အကြောင်း ပြောကြပါတယ်။ "
        "ညနေမှာ ကလေးတွေ ကျောင်းက ပြန်လာပြီး မှောင်တဲ့အထိ အိမ်ရှေ့မှာ ကစားကြပါတယ်။ "
        "မိုးရွာရင် အားလုံး အိမ်ထဲမှာနေပြီး အဘိုးပြောတဲ့ ပုံပြင်တွေကို နားထောင်ကြပါတယ်။"
    ),
    "km": (
        "នៅពេលព្រឹក ម្តាយរបស់ខ្ញុំទៅផ្សារដើម្បីទិញបន្លែ ត្រី និងអង្ករ។ "
        "ផ្សារនៅមិនឆ្ងាយពីផ្ទះរបស់យើងទេ ដូច្នេះគាត់ដើរទៅ។ "
        "នៅពេលថ្ងៃត្រង់ គ្រួសារទាំងមូលញ៉ាំបាយជាមួយគ្នា ហើយនិយាយអំពីរឿងក្នុងថ្ងៃនោះ។ "
        "នៅពេលរសៀល ក្មេងៗត្រឡប់មកពីសាលារៀន ហើយលេងនៅមុខផ្ទះរហូតដល់ងងឹត។ "
        "ពេលភ្លៀង មនុស្សគ្រប់គ្នានៅក្នុងផ្ទះ ហើយស្តាប់រឿងដែលជីតានិទាន។"
    ),
    "lo": (
        "ຕອນເຊົ້າ ແມ່ຂອງຂ້ອຍໄປຕະຫຼາດເພື່ອຊື້ຜັກ ປາ ແລະ ເຂົ້າສານ. "
        "ຕະຫຼາດຢູ່ບໍ່ໄກຈາກເຮືອນຂອງພວກເຮົາ ແມ່ຈຶ່ງຍ່າງໄປ. "
        "ຕອນທ່ຽງ ທຸກຄົນໃນຄອບຄົວກິນເຂົ້ານຳກັນ ແລະ ລົມກັນເຖິງເລື່ອງຕ່າງໆຂອງມື້ນັ້ນ. "
        "ຕອນແລງ ເດັກນ້ອຍກັບມາຈາກໂຮງຮຽນ ແລະ ຫຼິ້ນຢູ່ໜ້າເຮືອນຈົນມືດ. "
        "ເວລາຝົນຕົກ ທຸກຄົນຢູ່ໃນເຮືອນ ແລະ ຟັງນິທານທີ່ພໍ່ຕູ້ເລົ່າ."
    ),
    "ta": (
        "காலையில் என் அம்மா காய்கறிகள், மீன், அரிசி வாங்கச் சந்தைக்குச் செல்கிறார். "
        "சந்தை எங்கள் வீட்டிலிருந்து தொலைவில் இல்லை, அதனால் அவர் நடந்தே செல்கிறார். "
        "மதியம் குடும்பத்தினர் அனைவரும் சேர்ந்து சாப்பிட்டு, அன்றைய நாளைப் பற்றிப் பேசுகிறார்கள். "
        "மாலையில் குழந்தைகள் பள்ளியிலிருந்து திரும்பி வந்து, இருட்டும் வரை வீட்டின் முன் விளையாடுகிறார்கள். "
        "மழை பெய்யும்போது எல்லோரும் வீட்டிற்குள் இருந்து தாத்தா சொல்லும் கதைகளைக் கேட்கிறார்கள்."
    ),
    "jv": (
        "Esuk-esuk ibuku menyang pasar kanggo tuku janganan, iwak, lan beras. "
        "Pasaré ora adoh saka omah, mula ibu mlaku waé. "
        "Wayah awan kabèh kulawarga mangan bareng lan omong-omongan babagan dina iku. "
        "Wayah soré bocah-bocah mulih saka sekolah lan dolanan ing ngarep omah nganti peteng. "
        "Yèn udan, kabèh wong ana ing njero omah lan ngrungokaké crita saka simbah."
    ),
}
