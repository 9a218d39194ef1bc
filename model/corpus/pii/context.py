"""What the words before a number say about it: the nearest telling word decides."""

from __future__ import annotations

import re

WINDOW = 48
REACH_OF_OTHERS = 26

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
    r"dated?|bestellnummer|artikelnummer|rechnung\w*|auftrag\w*|commande|facture|pedido|factura|"
    r"ratio|score|isrc|rfc|cas|pmid|pmc|arxiv|oclc|lccn|(?:confirmation|booking|reservation|voucher|coupon|"
    r"access) code|"
    r"(?:customer|employee|member|membership|student|patient|claim|contract|policy|booking|reservation|confirmation|"
    r"room|registration|record|house|badge|article|locker) (?:number|no|nr|code)"
)
ID_WORDS = (
    r"ssn|social security|social insurance|\bsin\b|itin|taxpayer|tax ?(?:id|payer|no|number|file)\w*|"
    r"national insurance|"
    r"\bnino?\b|ni number|national id\w*|identity|personal (?:id|number|code)|citizen|steuer\w*|idnr|tin|bsn|"
    r"burgerservicenummer|sofi|pesel|\bnir\b|s[ée]cu(?:rit[ée] sociale)?|dni|nie|nif|codice fiscale|cpf|aadhaar|aadhar|"
    r"uid|uidai|personnummer|henkil[öo]tunnus|hetu|身份证\w*|pan"
)
DIGIT = re.compile(r"\d")
OTHER_NUMBER = re.compile(r"\d[\d .()-]{3,}\d")
CONNECTING = re.compile(r"(?:[ \t,;/|&(\[\"']|or|and|und|oder|et|ou|y|o|e)*")
SENTENCE_END = re.compile(r"[.!?;]\s+(?=[A-Z])")
_phone = re.compile(rf"(?<![^\W\d_])(?:(?P<phone>{PHONE_WORDS})|(?P<other>{OTHER_WORDS}))(?![^\W\d_])")
_card = re.compile(r"(?<![^\W\d_])(?:cards?|visa|master ?card|amex|maestro|discover|diners|jcb|karte\w*|carte|tarjeta)")
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
    ends = [end.end() for end in SENTENCE_END.finditer(window)]
    window = window[ends[-1] if ends else 0 :].lower().replace("_", " ")
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


def _nearest(words: re.Pattern[str], wanted: str, window: str) -> bool | None:
    found = None
    for match in words.finditer(window):
        if match[wanted] is not None:
            found = True
        elif match.end() >= len(window) - REACH_OF_OTHERS and not DIGIT.search(window, match.end()):
            found = False
    return found
