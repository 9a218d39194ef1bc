"""Check digits of national identity numbers; each takes the number without separators and in upper case."""

from __future__ import annotations

from model.corpus.pii.cards import luhn

DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
HETU_CHARACTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
FISCAL_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
        10,
         22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip
VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043",
    "8765932104", "9876543210",
)  # fmt: skip
VERHOEFF_P = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
INVALID_SSN = frozenset({"078051120", "219099999"})  # printed in advertisements, never anybody's


def us_social_security(n: str) -> bool:
    """Area not 000, 666 or 900-999, group not 00, serial not 0000 (Social Security Administration, since 2011)."""
    return n[:3] not in {"000", "666"} and n[0] != "9" and n[3:5] != "00" and n[5:] != "0000" and n not in INVALID_SSN


def us_taxpayer(n: str) -> bool:
    """ITIN: 9xx, then a group of 50-65, 70-88, 90-92 or 94-99 (IRS publication 4757)."""
    group = int(n[3:5])
    return n[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def uk_national_insurance(n: str) -> bool:
    """Prefixes that are never issued are refused (HMRC manual NIM39110)."""
    bad = n[0] in "DFIQUV" or n[1] in "DFIQUVO" or n[:2] in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}
    return not bad and n[8] in "ABCD"


def french_nir(n: str) -> bool:
    """Sex, year, month, then a two-digit key: 97 - number mod 97; Corsica's 2A and 2B count as 19 and 18."""
    number = n[:13].replace("2A", "19").replace("2B", "18")
    month = int(n[3:5])
    return (
        number.isdigit()
        and (1 <= month <= 12 or 20 <= month <= 42 or month >= 50)
        and 97 - int(number) % 97 == int(n[13:])
    )


def spanish_dni(n: str) -> bool:
    """DNI and NIE: the letter is the number mod 23; X, Y, Z of a NIE count as 0, 1, 2."""
    digits = n[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return digits.isdigit() and DNI_LETTERS[int(digits) % 23] == n[-1]


def italian_fiscal_code(n: str) -> bool:
    """Codice fiscale: the last letter is a sum over odd and even places mod 26 (decree of 23 December 1976)."""
    odd = sum(FISCAL_ODD[c] for c in n[0:15:2])
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in n[1:15:2])
    return chr(65 + (odd + even) % 26) == n[15]


def swedish_personal(n: str) -> bool:
    """Month and day of birth, then Luhn over the ten last digits."""
    short = n[-10:]
    return 1 <= int(short[2:4]) <= 12 and 1 <= int(short[4:6]) % 60 <= 31 and luhn(short)


def finnish_personal(n: str) -> bool:
    """Date of birth, a sign for the century, three digits, and a character of the nine digits mod 31."""
    digits = n[:6] + n[7:10]
    return 1 <= int(n[:2]) <= 31 and 1 <= int(n[2:4]) <= 12 and HETU_CHARACTERS[int(digits) % 31] == n[10]


def brazilian_cpf(n: str) -> bool:
    """Two check digits by weighted sums mod 11."""
    if len(set(n)) == 1:
        return False
    for length in (9, 10):
        total = sum(int(d) * (length + 1 - i) for i, d in enumerate(n[:length]))
        if total * 10 % 11 % 10 != int(n[length]):
            return False
    return True


def indian_aadhaar(n: str) -> bool:
    """First digit 2-9; the last one closes Verhoeff's dihedral check (1969)."""
    check = 0
    for place, digit in enumerate(reversed(n)):
        check = int(VERHOEFF_D[check][int(VERHOEFF_P[place % 8][int(digit)])])
    return n[0] in "23456789" and check == 0


def canadian_social_insurance(n: str) -> bool:
    """Luhn; the first digit is not 8."""
    return n[0] != "8" and luhn(n) and len(set(n)) > 1


def chinese_identity(n: str) -> bool:
    """Date of birth, and ISO 7064 mod 11-2 over seventeen digits (GB 11643)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    date = 1850 <= int(n[6:10]) <= 2100 and 1 <= int(n[10:12]) <= 12 and 1 <= int(n[12:14]) <= 31
    return date and "10X98765432"[sum(w * int(d) for w, d in zip(weights, n, strict=False)) % 11] == n[17]


def polish_pesel(n: str) -> bool:
    """Weights 1, 3, 7, 9 over eleven digits."""
    return sum(w * int(d) for w, d in zip((1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), n, strict=True)) % 10 == 0


def dutch_citizen(n: str) -> bool:
    """BSN: the eleven test."""
    return sum(w * int(d) for w, d in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), n, strict=True)) % 11 == 0 and int(n) > 0


def german_tax(n: str) -> bool:
    """Steuer-Identifikationsnummer: ISO 7064 mod 11,10."""
    product = 10
    for digit in n[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return n[0] != "0" and (11 - product) % 10 == int(n[10])
