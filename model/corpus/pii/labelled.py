"""Labelled sentences for measuring: values drawn at random, in realistic sentences, among numbers that only look alike.

No value belongs to anybody: telephone numbers come from the ranges kept for fiction where there are any, card and
account numbers are random with a right check digit.
"""

from __future__ import annotations

import base64
import ipaddress
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum.br import cpf
from stdnum.es import dni

from model.corpus.pii.cards import luhn
from model.corpus.pii.config import Kind
from model.corpus.pii.ibans import LENGTHS, is_iban
from model.corpus.pii.spans import Span
from model.randomness import python_generator

Maker = Callable[[random.Random], str]
FIRST = """
    anna ben carla david elena farid grace hugo ines jonas kemal lucia maria nina omar paula ravi sofia tom ute
    """.split()  # noqa: SIM905  (a list of words reads better as words)
LAST = """
    smith mueller garcia rossi dubois novak kim singh okafor jansen lindqvist o'brien van-dyk costa haddad
    """.split()  # noqa: SIM905  (a list of words reads better as words)
HOSTS = """
    example acme-corp northwind initech umbrella contoso globex hooli vandelay mail.initech post.acme-corp
    """.split()  # noqa: SIM905  (a list of words reads better as words)
TOP = """
    com org net io co.uk de fr edu gov museum com.au health
    """.split()  # noqa: SIM905  (a list of words reads better as words)


@dataclass(frozen=True)
class Labelled:
    """A text and the personal data that truly stands in it."""

    text: str
    spans: tuple[Span, ...]


def _digits(r: random.Random, n: int, first: str = string.digits) -> str:
    return r.choice(first) + "".join(r.choices(string.digits, k=n - 1))


def _fill(r: random.Random, pattern: str) -> str:
    """A pattern with `#` for a digit, `^` from 2 to 9, `%` a capital, `*` a letter or digit, `~` a hex digit."""
    drawn = {"#": string.digits, "^": "23456789", "%": string.ascii_uppercase, "~": "0123456789abcdef"}
    drawn["*"] = string.ascii_letters + string.digits
    return "".join(r.choice(drawn[c]) if c in drawn else c for c in pattern)


def email(r: random.Random) -> str:
    """An address with dots, tags, digits, sub-domains; now and then with an umlaut."""
    first, last = r.choice(FIRST), r.choice(LAST)
    local = r.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}_{last}{r.randint(1, 99)}",
            f"{first}+{last}-list",
            first.title(),
        ]
    )
    host = f"{r.choice(HOSTS)}.{r.choice(TOP)}" if r.random() < 0.95 else "bücher.example"
    return f"{local}@{host}"


PHONES = (
    "+1 (415) 555-01##", "+1-212-555-01##", "+1 646 555 01##", "(312) 555-01##", "415.555.01##", "303-555-01##",
    "(206)555-01##", "1-800-555-01##", "702-555-01## x###", "(415) 555-01## ext. ###", "+44 20 7946 0###",
    "020 7946 0###", "+44 (0)20 7946 0###", "07700 900###", "+447700900###", "(0161) 496 0###", "01632 960###",
    "+49 30 1234####", "0049 30 123###", "(0)30/12345##", "030 / 123 45 ##", "030/123####", "+49 (0)89 1234##",
    "0170 123 45 ##", "+33 1 70 18 ## ##", "01 70 18 ## ##", "+33 (0)6 12 34 ## ##", "06.12.34.##.##",
    "+34 612 34 ## ##", "+39 06 1234 ####", "+31 20 794 ####", "+41 44 668 ## ##", "+43 1 7101####",
    "+61 2 5550 ####", "+61 491 570 ###", "(02) 5550 ####", "+91 98765 #####", "+81 3-1234-####", "090-1234-####",
    "+86 138 1234 ####", "+55 11 91234-####", "(11) 91234-####", "+7 (495) 123-##-##", "8 (495) 123-##-##",
    "+46 8 123 ### ##", "08-123 ### ##", "+48 22 123 ## ##", "+353 1 555 ####", "00 44 20 7946 0###",
    "001-415-555-01##",
)  # fmt: skip
NAMED_PHONES = ("41555501##", "0791234####", "612 34# ###", "555-01##", "22 123 45 ##", "13912345###", "98765#####")


def phone(r: random.Random) -> str:
    """A number in one of fifty national or international forms."""
    return _fill(r, r.choice(PHONES))


def card(r: random.Random) -> str:
    """A card number with a right check digit, whole or in groups."""
    prefix, length = r.choice([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("36", 14), ("3530", 16)])
    stem = prefix + _digits(r, length - len(prefix) - 1)
    number = next(stem + d for d in string.digits if luhn(stem + d))
    sign = r.choice([" ", "-", ""])
    sizes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[length]
    return sign.join(number[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(len(sizes)))


def iban(r: random.Random) -> str:
    """An account number of a random country with right check digits; some in groups, some in lower case."""
    country = r.choice(sorted(LENGTHS))
    bban = _digits(r, LENGTHS[country] - 4)
    whole = next(code for n in range(2, 99) if is_iban(code := f"{country}{n:02}{bban}"))
    written = whole if r.random() < 0.5 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))
    return written.lower() if r.random() < 0.15 else written


def address(r: random.Random) -> str:
    """An IPv4 or IPv6 address, private or public."""
    if r.random() < 0.65:
        first = r.choice([r.randint(1, 223), 10, 192])
        return ".".join(map(str, (first, r.randint(0, 255), r.randint(0, 255), r.randint(1, 254))))
    found = ipaddress.IPv6Address(0x20010DB8 << 96 | r.getrandbits(r.choice([16, 64, 96])))
    return r.choice([found.compressed, found.exploded, found.compressed.upper()])


def national_id(r: random.Random) -> str:
    """A US, UK, Spanish, or Brazilian number that is valid in form."""
    kind = r.randrange(4)
    if kind == 0:
        return f"{r.choice([r.randint(1, 665), r.randint(667, 899)]):03}-{r.randint(1, 99):02}-{r.randint(1, 9999):04}"
    if kind == 1:
        pair = r.choice("ACEHJLMPRSWXY") + r.choice("ABCEHJLMPRSWXY")
        return _fill(r, f"{pair} ## ## ## " if r.random() < 0.5 else f"{pair}######") + r.choice("ABCD")
    if kind == 2:
        number = _digits(r, 8)
        return number + str(dni.calc_check_digit(number))
    stem = _digits(r, 9, "123456789")
    return str(cpf.format(next(n for c in range(100) if cpf.is_valid(n := f"{stem}{c:02}"))))


SECRETS = (
    "AKIA" + "%" * 16, "ghp_" + "*" * 36, "gho_" + "*" * 36, "glpat-" + "*" * 20,
    "xoxb-############-############-" + "*" * 24,
    "AIza" + "*" * 35, "sk_live_" + "*" * 24, "sk-proj-" + "*" * 48, "hf_" + "*" * 34, "npm_" + "*" * 36,
    "SG." + "*" * 22 + "." + "*" * 43, "key-" + "~" * 32,
)  # fmt: skip


def secret(r: random.Random) -> str:
    """A key or token in a form of a well-known service, a JSON web token, or a PEM private key."""
    kind = r.random()
    if kind < 0.1:
        head, body = (
            base64.urlsafe_b64encode(f'{{"{a}":"{r.random()}"}}'.encode()).decode().rstrip("=") for a in ("alg", "sub")
        )
        return f"{head}.{body}.{_fill(r, '*' * 43)}"
    if kind < 0.2:
        name = r.choice(["RSA ", "EC ", "OPENSSH ", ""])
        lines = "\n".join(_fill(r, "*" * 64) for _ in range(3))
        return f"-----BEGIN {name}PRIVATE KEY-----\n{lines}\n-----END {name}PRIVATE KEY-----"
    return _fill(r, r.choice(SECRETS))


def password(r: random.Random) -> str:
    """A password as people choose them."""
    return r.choice(["hunter", "Sommer", "Tr0ub4dor", "qwerty", "letMeIn", "Panda"]) + _fill(
        r, r.choice(["##!", "#*#", "&##", "_####"])
    )


def url_credentials(r: random.Random) -> str:
    """A URL with user and password."""
    scheme = r.choice(["https", "ftp", "postgres", "mongodb+srv", "redis", "amqp"])
    host, rest = f"{r.choice(HOSTS)}.example.com", r.choice(["", ":5432", "/main", "/a/b?x=1"])
    return f"{scheme}://{r.choice(FIRST)}:{_fill(r, '******##')}@{host}{rest}"


MAKERS: dict[Kind, Maker] = {
    "email": email, "phone": phone, "card": card, "iban": iban, "ip": address, "national_id": national_id,
    "secret": secret, "url_credentials": url_credentials,
}  # fmt: skip
SENTENCES = {
    "email": ["Write to {}.", "Contact: {}", "<{}> wrote:", "({}) replied", "From: Ana <{}>", '"email": "{}",',
            "cc {}; thanks", "mailto:{}"],
    "phone": ["Call me at {}.", "Tel: {}", "Phone {} (office)", "reach us on {} today", "fax: {}", "My number is {}.",
            "Grüße, {}", "{}"],
    "card": ["Card {} was declined.", "Visa {}, exp 09/27", "paid with {}.", "card_number={}",
            "number on the card: {}"],
    "iban": ["IBAN: {}", "Please pay to {}.", "account {} at our bank", "iban={};", "({})"],
    "ip": ["Failed login from {} port 22", "ping {}", "server at {}.", "client_ip={}", "[{}] GET /", "host {}, up"],
    "national_id": ["SSN: {}", "Her number is {}.", "ID {}", "employee {} was hired", "national insurance {}"],
    "secret": ["export TOKEN={}", "Use {} to log in", 'api_key: "{}"', "Authorization: {}", "the key\n{}\nleaked"],
    "url_credentials": ["Connect to {}", "DATABASE_URL={}", 'url: "{}"', "see {} for it", "clone <{}>"],
}  # fmt: skip
LOOKALIKES = (
    "Version 2.#.#.# is out.", "updated to v#.1#.#.##", "released on 20##-0^-1#.", "On 1#/0^/20## at 1#:3#:0^.",
    "ISBN 978-0-306-406##-#", "ISBN 0-306-40615-2", "order no. #############", "Order 415-555-01##-##",
    "sha256 ~~~~~~~~~~~~~~~~~~~~~~~~",
    "at 51.5###, -0.12##", "48.8566## 2.3522##", "part no. 555-01##-88", "SKU 415-555-01##",
    "commit ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
    "^,###,### people", "$ #,###.##", "pages ###-###", "uuid ~~~~~~~~-~~~~-4~~~-8~~~-~~~~~~~~~~~~",
    "at #.######e-0# mol",
    "icon@2x.png", "git@host.example:team/repo", "pip install thing==1.#.#.#", "std::vector<int> x", "0x" + "~" * 16,
    "tracking 1Z999AA1##########",
    "password: required", "token = get_token()", "Password: (at least 8 characters)", "api_key: your_api_key_here",
    "a@b", "x = y @ z.T",
    "aspect ratio 16:9:4", "10:45:3#", "chapter 1.2.3.4", "ID 000-12-####", "666-12-#### units",
    "4111 1111 1111 1112", "GB00WEST12345698765432",
    "fiscal 20##-20##", "the 1990s and 2000s", "3.1415926535897932", "1 2 3 4 5 6 7 8 9 10 11 12", "room 101-202",
    "https://example.com/a:b/c",
    "serial 12##-34##-56##", "RFC 2822, section 3.4.1.2", "ratio 1.5/2.5", "Matthew 5:3-12", "(1998) 12, 1234-1245",
    "MAC 00:1b:44:11:3a:b7",
)  # fmt: skip
FILLER = (
    "The committee met again in the spring and agreed on very little.", "Nobody had expected the rain to last so long.",
    "Results were better than in the year before.", "She closed the ledger and looked out of the window.",
    "All prices include delivery.", "Further notes follow below.",
)  # fmt: skip


def labelled_set(n: int, seed: int = 0) -> Iterator[Labelled]:
    """`n` short texts with findings of every structured kind and with look-alikes; the same for the same seed."""
    for index in range(n):
        r = python_generator(seed, "pii", index)
        text, spans = "", []
        for _ in range(r.randint(2, 5)):
            draw = r.random()
            if draw < 0.2:
                text += r.choice(FILLER)
            elif draw < 0.5:
                text += _fill(r, r.choice(LOOKALIKES))
            elif draw < 0.56:
                text, value = text + r.choice(["password=", "Password: ", 'pwd: "', "My password is "]), password(r)
                spans.append(Span(len(text), len(text) + len(value), "secret"))
                text += value + ('"' if text.endswith('"') else "")
            elif draw < 0.6:
                text, value = (
                    text + r.choice(["Call ", "tel. ", "Phone: ", "Mobile: "]),
                    _fill(r, r.choice(NAMED_PHONES)),
                )
                spans.append(Span(len(text), len(text) + len(value), "phone"))
                text += value
            else:
                kind = r.choice(sorted(MAKERS))
                before, _, after = r.choice(SENTENCES[kind]).partition("{}")
                value = MAKERS[kind](r)
                spans.append(Span(len(text + before), len(text + before + value), kind))
                text += before + value + after
            text += r.choice([" ", "\n", "  ", "\n\n"])
        yield Labelled(text, tuple(spans))
