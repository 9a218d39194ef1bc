"""Each kind of personal data: what is found whole, and what only looks like it."""

from __future__ import annotations

import re
import string

import pytest
from hard_negatives import HARD_NEGATIVES, hard_negatives

from model.corpus.pii.cards import is_card, luhn
from model.corpus.pii.config import PiiConfig
from model.corpus.pii.ibans import LENGTHS, is_iban
from model.corpus.pii.scrub import PiiScrubber
from model.randomness import python_generator

pytestmark = pytest.mark.feature("CORP-08")
SCRUBBER = PiiScrubber(PiiConfig())

FOUND = {
    "email": [
        "john.doe+tag@sub.example.co.uk", '"john doe"@example.com', "jürgen@müller.de", "o'brien@example.org",
        "a@b.museum", "first_last-99@xn--bcher-kva.example", "user [at] example [dot] com", "jane at example dot org",
        "JOHN@EXAMPLE.COM", "почта@пример.рф",
    ],
    "phone": [
        "+1 (415) 555-0132", "415.555.0132", "(415) 555-0132", "(415)555-0132", "415-555-0132", "1-800-555-0199",
        "001-415-555-0132", "415-555-0132 x123", "+44 20 7946 0958", "+44 (0)20 7946 0958", "020 7946 0958",
        "(0161) 496 0006", "07700 900123", "01632 960391", "0049 30 123456", "+49 30 123456", "(0)30/1234567",
        "030/1234567", "030 / 123 45 67", "+49(0)89 123456", "+33 1 70 18 99 00", "01 70 18 99 00", "06.12.34.56.78",
        "+33 (0)6 12 34 56 78", "+34 612 34 56 78", "912 34 56 78", "+31 20 794 1234", "+61 2 5550 1234",
        "(02) 5550 1234", "+91 98765 43210", "090-1234-5678", "138 1234 5678", "8 (495) 123-45-67", "+7 495 123-45-67",
        "(11) 91234-5678", "08-123 456 78", "+14155550132", "+358 40 1234567", "(+44) 20 7946 0958", "00493012345678",
        "+1 (415) 555-0132 ext. 12",
        "0763471406", "8 912 345 67 89", "+420 222 123 456",
    ],
    "card": [
        "4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111", "378282246310005", "3782 822463 10005",
        "5555555555554444", "2223003122003222", "4111.1111.1111.1111", "6011 0009 9013 9424", "30569309025904",
        "3530111333300000",
    ],
    "iban": [
        "GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432", "de89370400440532013000",
        "DE89-3704-0044-0532-0130-00",
        "FR14 2004 1010 0505 0001 3M02 606", "NO9386011117947", "MT84MALT011000012345MTLCAST001S",
    ],
    "ip": [
        "192.168.1.1", "8.8.8.8", "203.0.113.255", "2001:db8:85a3::8a2e:370:7334", "fe80::1", "::1",
        "2001:0DB8:0000:0000:0000:0000:0000:0001", "::ffff:192.0.2.128",
    ],
    "national_id": [
        "123-45-6789", "AB 12 34 56 C", "AB123456C", "12345678Z", "X1234567L", "RSSMRA85T10A562S", "131052-308T",
        "529.982.247-25", "811228-9874", "255081416802538", "11010519491231002X",
    ],
    "secret": [
        "AKIAIOSFODNN7EXAMPLE", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
        "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx", "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    ],
    "url_credentials": [
        "https://user:pa55@host.example/path?x=1", "postgres://app:s3cr3t@db:5432/main",
        "ftp://a:b%40c@ftp.example.org",
    ],
}  # fmt: skip
NOT_FOUND = [
    "version 1.2.3.4", "v2.10.0.1", "Chrome/114.0.0.0", "pip install x==1.2.3.4", "section 3.4.1.2", "256.1.1.1",
    "2024-01-05 12:30:45", "01/02/2024", "10.12.2023", "ISBN 978-0-306-40615-7", "ISBN 0-306-40615-2",
    "order 415-555-0132", "Part no. 415-555-0132", "part 555-0132-88", "51.5074, -0.1278", "48.856613 2.352222",
    "3.14159265358979", "$1,234,567.89", "000-12-3456", "666-12-3456", "123-00-4567", "123-45-0000", "987-65-4320",
    "GB00 WEST 1234 5698 7654 32", "4111 1111 1111 1112", "1234 5678 9012 3456", "logo@2x.png", "git@github.com:a/b",
    "a@b", "@decorator", "std::vector", "10:30:45", "00:1b:44:11:3a:b7", "password: required", "token = get_token()",
    "api_key: your_api_key_here", "Password: at least 8 characters", "secretary: Ann, room 4", "passage: 'x1y2z3a4'",
    "d41d8cd98f00b204e9800998ecf8427e", "123e4567-e89b-42d3-a456-426614174000", "pp. 1234-1245", "1984-2001",
    "1 2 3 4 5 6 7 8 9 10 11", "https://example.com/a:b/c", "123,456,789 people", "OpenSSL 1.0.2.7", "rv:1.9.2.20",
    "confirmation code 415-555-0132", "https://user@example.com/x",
    "US$ 415 555 0132", "00001234567890", "415-555-01322", "AB-415-555-0132", "EAN 4006381333931", "@user@",
    "libfoo.so.1.2.3.4", "12345678A", "QQ 12 34 56 Z",
    "12:34 5678", "RFC 5321", "tracking 1Z999AA10123456784", "ZZ 12 34 56 C", "0x7fff5fbff8a0",
    "sha256 aabbccddeeff00112233",
]  # fmt: skip


def findings(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in SCRUBBER.find(text)]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in FOUND.items() for value in values])
def test_a_value_is_found_whole_and_nothing_beside_it(kind: str, value: str) -> None:
    for text in (value, f"It says {value}, then ends.", f"({value})", f"a\n{value}\nb", f"This is {value}."):
        assert findings(text) == [(kind, value)], text


@pytest.mark.parametrize("text", NOT_FOUND)
def test_a_look_alike_is_left_alone(text: str) -> None:
    assert findings(text) == []
    assert findings(f"The {text} was there.") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("password=hunter2", "hunter2"),
        ('"password": "correct horse"', "correct horse"),
        ("DB_PASSWORD='s3cr3t!'", "s3cr3t!"),
        ("api_key: abcd1234efgh5678", "abcd1234efgh5678"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        ("My password is Tr0ub4dor&3.", "Tr0ub4dor&3"),
        ('client_secret => "9f8e7d6c5b4a39281706"', "9f8e7d6c5b4a39281706"),
        ("curl -H 'Authorization: Bearer abcdefghijklmnop123456'", "abcdefghijklmnop123456"),
        ("https://x.example/?access_token=Zm9vYmFyYmF6cXV4MTIz", "Zm9vYmFyYmF6cXV4MTIz"),
    ],
)
def test_what_is_assigned_to_a_telling_name_is_a_secret(text: str, value: str) -> None:
    found = [span for span in findings(text) if span[0] == "secret"]
    assert [text for _, text in found] == [value]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Call 4155550132 now", True), ("Order 4155550132 now", False), ("the figure 4155550132 was", False),
        ("Phone: 555-0132", True), ("tel. 612 345 678", True), ("in all 612 345 678 francs", False),
        ("Order placed; call 415-555-0132", True), ("call about order 415-555-0132", False), ("電話 0312345678", True),
        ('{"phone": "4155550132"}', True), ("invoice_id=4155550132", False),
    ],
)  # fmt: skip
def test_the_nearest_telling_word_decides_about_a_number(text: str, wanted: bool) -> None:
    assert any(kind == "phone" for kind, _ in findings(text)) == wanted


def test_the_checks_agree_with_brute_force() -> None:
    def slow_luhn(number: str) -> bool:
        total = 0
        for place, digit in enumerate(reversed(number)):
            value = int(digit) * (1 + place % 2)
            total += value - 9 if value > 9 else value
        return total % 10 == 0

    def slow_iban(code: str) -> bool:
        moved, remainder = code[4:] + code[:4], 0
        for c in moved:
            for digit in c if c.isdigit() else str(ord(c) - 55):
                remainder = (remainder * 10 + int(digit)) % 97
        return remainder == 1

    r = python_generator(4)
    for _ in range(2000):
        number = "4" + "".join(r.choices(string.digits, k=15))
        assert luhn(number) == slow_luhn(number) == (is_card(number) or len(set(number)) == 1)
        country = r.choice(sorted(LENGTHS))
        code = (
            country
            + "".join(r.choices(string.digits, k=2))
            + "".join(r.choices(string.digits + string.ascii_uppercase, k=LENGTHS[country] - 4))
        )
        assert is_iban(code) == slow_iban(code)


def test_every_single_wrong_digit_of_a_card_or_account_is_refused() -> None:
    for number, check in (("4111111111111111", is_card), ("DE89370400440532013000", is_iban)):
        for place in range(2, len(number)):
            for digit in set("0123456789") - {number[place]}:
                changed = number[:place] + digit + number[place + 1 :]
                assert not check(changed) or re.fullmatch(r"(\d)\1+", changed)


@pytest.mark.parametrize("kind", HARD_NEGATIVES)
def test_of_a_hundred_numbers_that_are_nobodys_at_most_two_are_taken(kind: str) -> None:
    texts = hard_negatives(kind, 1000, seed=1)
    taken = [(text, found) for text in texts if (found := findings(text))]
    assert len(taken) <= 20, taken[:10]


@pytest.mark.parametrize(
    "text",
    [
        "Order 4821 7730 1956 was packed on Monday.", "The years 1914 1939 1945 are in the table.",
        "Coordinates +50.9787 -11.0328 mark the mine.", "ISBN 978-3-16-148410-0 is the example.",
        "Bestellnr. 0176 23456789 ist lieferbar.", "Bus lines 1203 4415 7781 9920 stop here.",
        "Version 10.2.14.3 fixes it.", "Part number 5500-0000-0000-0004-A", "Chapter 12.3.4, page 1234-5678",
        "Serial 123-45-678-X", "Meter reading 0049 1234 567 on the dial", "Room 192.168 in building 7",
        "Score 3:2, 21:19, 15:21", "nginx 1.18.0.2 is old", "lines 4111 1111 1111 1111 and 5500 0000 0000 0004",
    ],
)  # fmt: skip
def test_a_number_that_its_words_give_to_a_thing_is_left_alone(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Anna Schmidt 0176 23456789", "0176 23456789"), ("Praxis Dr. Weber, 030 1234567", "030 1234567"),
        ("paid with 4111 1111 1111 1111 on Monday", "4111 1111 1111 1111"), ("Her number is 12345678Z.", "12345678Z"),
        ("My Aadhaar is 2345 6789 0124", "2345 6789 0124"), ("login from 10.2.14.3", "10.2.14.3"),
        ("ana,4111 1111 1111 1111,09/27", "4111 1111 1111 1111"), ("Handynummer 0176 23456789", "0176 23456789"),
    ],
)  # fmt: skip
def test_a_number_that_its_words_give_to_a_person_is_found(text: str, value: str) -> None:
    assert [found for _, found in findings(text)] == [value]
