"""What the words before a number say about it: the nearest telling word decides."""

from __future__ import annotations

import re

WINDOW = 48
REACH_OF_OTHERS = 26

# "telephone number", "Handynummer", "the number", "her number": not the number of something else
PHONE_STEMS = (
    r"tele|tel|phone|fax|handy|mobil|mobile|cell|ruf|notruf|durchwahl|service|kontakt|contact|festnetz|hotline"
)
NUMBER_OF_A_PERSON = (
    r"the|an?|this|that|new|old|current|correct|wrong|right|same|other|another|second|first|direct|local|emergency|"
    r"following|his|her|my|our|your|their|its|what|which|is|and|or|toll|free|card|home|work|office|personal|"
    r"national|identity|id|security|insurance|tax|file|passport|social"
)

PHONE_WORDS = (
    r"phones?|tel|telephone|tele|mobile|mob|cell(?:ular|phone)?|fax|call(?:s|ed|ing)?|dial(?:ing)?|text(?:ed|ing)?|sms|"
    r"whatsapp|signal|telegram|viber|contact(?:ed)?|reach(?:ed|able)?|hotline|helpline|ring|rang|voicemail|landline|"
    r"switchboard|ph|handy|telefon\w*|mobil\w*|rufnummer|durchwahl|t[ée]l|t[ée]l[ée]phone|appel\w*|portable|"
    r"tel[ée]fono|m[óo]vil|celular|ll[aá]m\w+|cellulare|chiam\w+|telefoon\w*|bel|kom[óo]rk\w+|tlf|puhelin|"
    r"(?:my|his|her|our|their|your|home|work|office|direct|emergency|business|daytime|evening|callback) "
    r"(?:number|line|no\.?)|number to (?:call|reach|dial)|numbers?:? (?:on|in) (?:file|record)|"
    r"тел\w*|моб\w*|звон\w+|电话|手机|聯絡|联系|電話|携帯|连络|전화|휴대폰|फ़ोन|[mtf](?=[:.] ?$)"
)
OTHER_WORDS = (
    r"part|sku|orders?|invoice|serial|s/n|p/n|pn|model|isbn|issn|doi|ean|upc|gtin|asin|vin|imei|version|ver|v|build|"
    r"release|firmware|revision|rev|ticket|case|item|product|tracking|shipment|parcel|waybill|reference|ref|catalog\w*|"
    r"batch|lot|account|acct|transaction|txn|receipt|po|ids?|timestamp|epoch|coordinates?|latitude|longitude|lat|lon|"
    r"lng|gps|located|geo|pages?|pp|vol(?:ume)?|article|section|patent|uuid|guid|hash|checksum|digest|sha\d*|md5|"
    r"commit|licen[cs]e|policy|flight|docket|bug|issue|pid|port|zip|postcode|population|total|sum|amount|price|cost|"
    r"dated?|rechnung\w*|auftrag\w*|bestell\w*|aktenzeichen|vorgang|commande|facture|r[ée]f[ée]rence|r[ée]f|colis|"
    r"dossier|pedido|factura|expediente|albar[áa]n|lote|barcode|catalog(?:ue)?|meter|readings?|serie|s[ée]rie|"
    rf"(?!(?:{PHONE_STEMS})\w*)\w+(?:nummern?|nrn?|zeichen)|z[äa]hlerstand|"
    r"ratio|score|isrc|rfc|cas|pmid|pmc|arxiv|oclc|lccn|(?:confirmation|booking|reservation|voucher|coupon|"
    r"access) code|"
    r"(?:customer|employee|member|membership|student|patient|claim|contract|policy|booking|reservation|confirmation|"
    r"room|registration|record|house|badge|article|locker) (?:number|no|nr|code)|"
    rf"(?!(?:{PHONE_STEMS}|{NUMBER_OF_A_PERSON})(?![^\W\d_]))[^\W\d_]{{2,}} (?:numbers?|no\.|nr\.?|num\.|n[°º]|#)"
)
ID_WORDS = (
    r"employee|resident|taxpayers?|holder|ssn|social security|social insurance|\bsin\b|itin|taxpayer|tax ?(?:id|"
    r"payer|no|number|file)\w*|"
    r"(?:national )?insurance(?: number| no\.?)?|ausweis\w*|\w*versicherungsnummer|passport|"
    r"\bnino?\b|ni number|national id\w*|identity|personal (?:id|number|code)|citizen|steuer\w*|idnr|tin|bsn|"
    r"burgerservicenummer|sofi|pesel|\bnir\b|s[ée]cu(?:rit[ée] sociale)?|dni|nie|nif|codice fiscale|cpf|aadhaar|aadhar|"
    r"uid|uidai|personnummer|henkil[öo]tunnus|hetu|身份证\w*|pan"
)
DIGIT = re.compile(r"\d")
OTHER_NUMBER = re.compile(r"\d[\d .()-]{3,}\d")
CONNECTING = re.compile(r"(?:[ \t,;/|&(\[\"']|or|and|und|oder|et|ou|y|o|e)*")
SENTENCE_END = re.compile(r"[.!?;]\s+(?=[A-Z])")
_phone = re.compile(rf"(?<![^\W\d_])(?:(?P<phone>{PHONE_WORDS})|(?P<other>{OTHER_WORDS}))(?![^\W\d_])")
_card = re.compile(
    r"(?<![^\W\d_])(?:(?:credit |debit |bank |payment )?cards?|visa|master ?card|amex|american express|maestro|"
    r"discover|"
    r"diners|jcb|rupay|unionpay|\w*karten?|kartennummer|carte|tarjeta|paid|pay|paying|payments?|charged?|charging|"
    r"billed|billing|credit|debit|cvv|cvc|pan|zahl\w+|bezahl\w+|pay[ée]|paiement|pag\w+|cc)(?![^\W\d_])"
)
# words that say nothing of what a number is
NEUTRAL = frozenset(
    """
    is are was were be being been says said say it its it's this that these those the a an and or to at on in of for
    with by from under via as my your his her our their me us you him them i we he she they who number numbers no nr
    num n° nº id here there now please try use using used new old current correct following above below same gave
    give given got get left wrote write see found has have had not so but if then yes only just also still leaked
    ist sind war lautet lauten unter an am im die der das den dem und oder mit von vom bei für ab zu meine deine
    seine ihre unsere est sont était le la les l à au aux de du des et ou avec par pour sous ma mon sa son votre
    notre es son el los las y o con al en del por para su mi tu nuestro è il lo gli e di da per
    """.split()  # noqa: SIM905  (a list of words reads better as words)
)
OF_A_PERSON = frozenset({"id", "my", "his", "her", "your", "their", "our", "me", "him", "us"})
DIGITS = tuple("0123456789")
NUMBER_BEFORE = re.compile(r"[\w./()+-]*\d(?: ?[\w./()+-]*\d)*\Z")
LAST_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['’-](?=[^\W_]))*[°º]?\Z")
OPENING = " \t\n\"'“”‘’«»([{<>*|=_#&?/-–"
COUNTED = re.compile(  # what stands behind a number that counts or measures
    r" ?(?:people|persons|inhabitants|votes|units|pieces|copies|shares|items|bytes|[kmg]?hz|k?m|kg|tons?|tonnes|"
    r"dollars|"
    r"euros?|francs?|pounds|yen|rubles|crowns|einwohner|st[üu]ck|personen|habitants|habitantes|%|‰|°)(?![^\W\d_])",
    re.IGNORECASE,
)
_cjk_phone = re.compile(r"电话|手机|電話|携帯|联系|聯絡|전화|휴대폰|身份证")
_id = re.compile(
    rf"(?<![^\W\d_])(?:(?P<id>{ID_WORDS})|(?P<other>{OTHER_WORDS.replace('|ids?|', '|').replace('account|acct|', '')}))"
    r"(?![^\W\d_])"
)


def before(view: str, start: int) -> str:
    """The words before a place in its sentence and line, lower case, with an identifier's underscores as spaces.

    Where a line begins with the place, the line before it counts as well (a label above its value).
    """
    window = view[max(0, start - WINDOW) : start]
    line = window.rpartition("\n")[2]
    if line.strip(" \t\"'(<+-*|>"):
        window = line
    window = window.rpartition("\n\n")[2]
    window = window[_clause(window) :].lower().replace("_", " ")
    others = [number.end() for number in OTHER_NUMBER.finditer(window)]
    if others and not CONNECTING.fullmatch(window, others[-1]):
        window = window[others[-1] :]  # the words before another number are about that one
    return window


def says_phone(view: str, start: int) -> bool | None:
    """Whether the words before a number call it a phone number (true), something else (false), or nothing."""
    window = before(view, start)
    if _cjk_phone.search(window):
        return True
    return _nearest(_phone, "phone", window)


def says_card(view: str, start: int) -> bool:
    """Whether the words before a number name a payment card."""
    return _card.search(before(view, start)) is not None


def says_id(view: str, start: int) -> bool | None:
    """Whether the words before a number call it a person's number (true), something else (false), or nothing."""
    return _nearest(_id, "id", before(view, start))


def stands_alone(view: str, start: int, end: int, names: bool = True) -> bool:
    """Whether nothing around a number says that it is some other thing's: for forms that other numbers share.

    True where it begins its line, cell or clause, where only words stand before it that say nothing ("it is", "her
    number:"), or, with `names`, a word with a capital like a person's ("Anna 0176 ..."). False behind any other word
    ("lines", "Catalogue:"), between other numbers, and before what it counts ("people", "km").
    """
    if COUNTED.match(view, end):
        return False
    window = view[max(0, start - WINDOW) : start].rpartition("\n")[2].rpartition("  ")[2]
    window = window[_clause(window) :]
    label, beside = False, True
    for _ in range(8):
        window = window.rstrip(OPENING)
        if not window:
            return True
        if window[-1].isdigit():
            if beside:
                return False
            window = NUMBER_BEFORE.sub("", window)  # one of several: what is said of the first holds for all
        elif window[-1] in ",;":
            window, beside = window[:-1], False
            if not window.endswith(DIGITS):
                return True
        elif window[-1] in ":：":
            label, window = True, window[:-1]
        elif word := LAST_WORD.search(window):
            lower = word[0].lower()
            if lower in OF_A_PERSON:
                return True
            if lower not in NEUTRAL:
                return names and not label and word[0][0].isupper() and not word[0].isupper()
            window, beside = window[: word.start()], False
        else:
            return True
    return True


def _clause(window: str) -> int:
    """Where the last sentence of a window begins."""
    ends = [end.end() for end in SENTENCE_END.finditer(window)]
    return ends[-1] if ends else 0


def _nearest(words: re.Pattern[str], wanted: str, window: str) -> bool | None:
    found = None
    for match in words.finditer(window):
        if match[wanted] is not None:
            found = True
        elif match.end() >= len(window) - REACH_OF_OTHERS and not DIGIT.search(window, match.end()):
            found = False
    return found
