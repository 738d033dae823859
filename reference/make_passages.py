"""Two long texts for src/ui/search/find-passages.test.ts: reference/fixtures/passages/{de,zh}.txt.

What the test's questions ask for stands in paragraphs that were written for it (invented places, no source). Between
them stand paragraphs made from sentences about the same things, in the same words, which answer none of the questions.
The third text is bench/texts/prose.txt. From the project's root:

    python3 reference/make_passages.py
"""

import random
from pathlib import Path

OUT = Path("reference/fixtures/passages")

GERMAN = """Die Steinachbahn wurde am 4. Mai 1897 eröffnet. Die erste Lokomotive, gezogen von acht Pferden über die Passstraße, kam in Einzelteilen im Dorf an und wurde in der Scheune des Gastwirts Aloys Reindl zusammengeschraubt.

Der Zahnradabschnitt zwischen Obergrub und der Hohen Wand überwindet auf 1,9 Kilometern 412 Höhenmeter. Talwärts dürfen die Züge dort höchstens neun Stundenkilometer fahren, weil die Bremsklötze sonst überhitzen.

Im Februar 1931 verschüttete eine Lawine den Tunnel am Kaltenstein. Elf Fahrgäste saßen neunzehn Stunden fest und ernährten sich von einer Ladung Räucherkäse, die für den Markt in Brunnau bestimmt war. Niemand wurde verletzt.

Seit der Elektrifizierung liefert das Kraftwerk an der Schwarzen Ache den Fahrstrom. Fällt es aus, übernimmt ein Dieselaggregat im Keller des Bahnhofs Steinach, dessen Tank für vierzehn Stunden reicht.

Hunde fahren kostenlos, sofern sie einen Maulkorb tragen. Für Schafe gilt seit einem Beschluss des Gemeinderats von 1954 der halbe Fahrpreis eines Kindes; Ziegen sind von der Beförderung ausgeschlossen, seit eine von ihnen die Fahrpläne gefressen hat.

Die große Glocke der Kapelle Sankt Veit stammt aus einer aufgelösten Gießerei in Passau. Sie hat einen Sprung und wird deshalb nur am Silvesterabend geläutet.

Wanderer, die den Grat überschreiten wollen, melden sich in der Schutzhütte an. Der Schlüssel zum Winterraum hängt im Pfarrhaus; als Pfand wird ein Ausweis verlangt.

Die Imkerei Huber hält ihre Völker oberhalb der Baumgrenze. Ihr Alpenrosenhonig kristallisiert erst nach drei Jahren und wird in dunklen Gläsern verkauft, damit ihn das Licht nicht bleicht.

Im Heimatmuseum ist ein Wetterbuch ausgestellt, das die Lehrerin Agathe Moser 52 Jahre lang führte. Nach ihren Aufzeichnungen war der 11. Juli 1929 der heißeste Tag, den das Tal je gesehen hat.

Das Trinkwasser kommt aus drei Quellen am Nordhang. Es wird mit ultraviolettem Licht entkeimt, da Chlor den Forellen in den Zuchtteichen schaden würde.

Gegen Muren schützt ein Damm aus Granitblöcken, den italienische Arbeiter 1908 ohne Mörtel aufschichteten. Er wird jedes Frühjahr von zwei Steinmetzen abgeklopft: Ein hohler Klang verrät lockere Blöcke.

Die Volksschule hat so wenige Kinder, dass alle vier Stufen in einem Zimmer unterrichtet werden. Den Schulbus ersetzt die Bahn, die morgens eigens an der Sägemühle hält."""

GERMAN_STATIONS = "Aubach Birkenau Buchrain Dornegg Ebental Farnach Föhrenbühl Gamsried Grünwies Haselgrub Heuberg Innertal Kiesbach Klamm Lärchau Lehmgrub Moosach Nesselrain Ofenbach Pilzmoos Quellried Rabenstein Rossweid Salzgrub Schilfau Seewald Stadlberg Tannried Ulmenhof Vogelsang Weidach Wiesenau Zirbenkar Zwieselau".split()
GERMAN_SENTENCES = [
    "Der Bahnhof {0} wurde {1} gebaut und hat ein Dach aus Lärchenschindeln.",
    "Die Züge halten in {0} nur bei Bedarf, im Winter jede zweite Stunde.",
    "An der Strecke bei {0} stehen {2} Masten, die im Frühjahr gestrichen werden.",
    "Der Gemeinderat von {0} beschloss {1}, den Fahrplan für Wanderer zu ändern.",
    "Bei {0} überquert die Bahn den Bach auf einer Brücke aus Granit.",
    "Im Gasthaus von {0} gibt es Käse, Honig und Forellen aus dem Tal.",
    "Die Lokomotive, die {1} in {0} stand, wurde später verkauft.",
    "Kinder aus {0} fahren mit dem Zug zur Schule, Fahrgäste mit Hunden sitzen hinten.",
    "Die Kapelle von {0} hat zwei kleine Glocken und eine Orgel mit {2} Pfeifen.",
    "Nach dem Schnee von {1} wurde der Weg oberhalb von {0} mit Blöcken gesichert.",
    "Das Wetter in {0} ist im Juli mild; das Museum zeigt Bilder aus dem Jahr {1}.",
    "Eine Quelle bei {0} liefert Wasser für {2} Häuser und einen Teich.",
]

CHINESE = """青石水库于一九五八年动工，历时三年建成。大坝用的是附近采石场的青灰色花岗岩，没有用水泥，石块之间靠糯米浆粘合。

每年三月，管理处会放干下游的引水渠，清理淤泥。清出来的淤泥不准倒进河里，而是免费送给茶农作肥料。

镇上的图书馆设在旧粮仓里。为了防潮，二楼的古籍书柜里放着樟木片和生石灰，石灰每四十天换一次。

借书的期限是六个星期。逾期不罚款，但要在阅览室里替别人修补一本破损的书。

青石豆腐用的是山泉水，点卤不用石膏，用的是腌菜坛子里的老酸水。做好的豆腐要压两个时辰，切开以后断面像玉一样。

摆渡的老船工名叫罗长根。他的船桨是用枣木做的，每年端午节前涂一遍桐油，用了三十一年没有换过。

一九七四年的洪水冲走了东门的石桥。新桥建成以前，学生们坐在打谷用的木桶里过河上学，前后一共五个月。

山上的白鹇是受保护的鸟。护林员在雪天会撒玉米，但雪一停就不再喂，免得它们忘记自己找食。

茶厂的炒锅温度靠手感判断。老师傅把手掌悬在锅上三寸，能忍受四次呼吸的温度正好，再久就太凉了。

镇卫生所没有救护车，急病的人由消防队的三轮摩托送到县医院，路上大约要五十分钟。

戏台的屋顶有一块瓦是铁的。传说是铁匠为了还愿放上去的，打雷的时候，演员都不肯站在它的下面。

气象站设在北坡的道观旁边，由道士兼管。他们每天早晚各读一次雨量，用毛笔记在账本里，月底寄给县里。"""

CHINESE_VILLAGES = "柳湾 石坪 杏花村 上河 下河 竹溪 白沙 黄泥岭 松林 古井 桃源 龙潭 马头 南坡 茶亭 枫树湾 清水 大岭 小岭 观音桥 油坊 瓦窑 水口 梅村 荷塘 银杏 双桥 长坡 鹿鸣 东山".split()
CHINESE_SENTENCES = [
    "{0}的村口有一座{1}年修的石桥，桥边种着两棵樟树。",
    "{0}的学校有{2}名学生，冬天早上八点上课。",
    "从{0}到镇上坐船要半个小时，下雨天改走山路。",
    "{0}的茶农在清明以前采茶，茶叶送到镇上的茶厂。",
    "管理处在{0}设了一个水位标尺，每个星期读一次。",
    "{0}的祠堂里保存着{1}年的账本和一块旧匾。",
    "{0}的豆腐坊每天做{2}斤豆腐，多半在集市上卖掉。",
    "{1}年的大雪压坏了{0}的屋顶，村民用了两个月修好。",
    "{0}的护林员负责北坡的树林，春天种树，秋天防火。",
    "图书馆的流动书车每个月到{0}一次，可以借书，也可以还书。",
    "{0}附近的河里有鱼，渔船在端午节以后才出来。",
    "{0}的老人说，{1}年的洪水没有淹到村里的水井。",
]


def text(written: str, places: list[str], sentences: list[str], paragraphs: int, blank: str) -> str:
    """What was written, in the same order, with what is made between it."""
    random.seed(33)
    rest = written.split("\n\n")
    made = []
    for number in range(paragraphs):
        place = random.choice(places)
        lines = random.sample(sentences, 5)
        made.append(blank.join(line.format(place, random.randint(1890, 1970), random.randint(3, 90)) for line in lines))
    step = paragraphs // len(rest)
    mixed = []
    for number, paragraph in enumerate(made):
        if number % step == step // 2 and rest:
            mixed.append(rest.pop(0))
        mixed.append(paragraph)
    return "\n\n".join(mixed + rest) + "\n"


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "de.txt").write_text(text(GERMAN, GERMAN_STATIONS, GERMAN_SENTENCES, 84, " "))
    (OUT / "zh.txt").write_text(text(CHINESE, CHINESE_VILLAGES, CHINESE_SENTENCES, 96, ""))
