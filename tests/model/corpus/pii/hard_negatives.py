"""Numbers that are nobody's: orders, ISBN, coordinates, years, versions, hashes, drawn at random in short sentences."""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Callable

from model.randomness import python_generator

THINGS = (
    "order", "ticket", "invoice", "part", "serial", "batch", "lot", "SKU", "model", "docket", "tracking", "parcel",
    "customer", "booking", "asset", "contract",
    "meter reading", "bus lines", "chapter", "barcode", "warehouse", "shelf",
    "locker", "warrant", "train", "drawing", "spool", "voucher", "lottery numbers", "Bestellnr.", "Artikelnr.",
    "Auftragsnummer", "Rechnungsnr.", "Kundennummer", "Aktenzeichen",
    "Seriennummer", "Zählerstand", "commande n°",
    "facture", "référence", "numéro de série", "colis", "pedido",
    "número de pedido", "factura", "expediente", "albarán",
)  # fmt: skip
SHAPES = (
    "#### #### ####", "#### #### #### ####", "### ### ###", "### ### ####", "## ### ### ###", "### ## ####",
    "## ## ## ## ##", "#" * 9, "#" * 10, "#" * 11, "#" * 12, "#" * 13, "#" * 16, "####-####-####",
    "####-####-####-####", "###-###-####", "0### ########", "0##/#######", "00## #### ###", "0#########", "########%",
    "#### ####", "#### ###### #####", "######-####", "###-###-###", "###.###.###-##",
)  # fmt: skip


def _number(r: random.Random, shape: str | None = None) -> str:
    draw = {"#": string.digits, "%": "ABCDEFGHJKLMNPQRSTVWXYZ"}
    return "".join(r.choice(draw[c]) if c in draw else c for c in shape or r.choice(SHAPES))


def order(r: random.Random) -> str:
    """A number that the word before it calls some thing's."""
    thing, number = r.choice(THINGS), _number(r)
    return r.choice([
        f"{thing} {number} was packed on Monday.", f"The {thing} {number} is in the table.", f"{thing}: {number}",
        f"{thing} no. {number} arrived", f"See {thing} #{number} for it.",
        f"{thing} {number} and {_number(r)} are lost",
        f"We lost {thing} {number}, {_number(r)} last week.",
    ])  # fmt: skip


def isbn(r: random.Random) -> str:
    """An ISBN of ten or thirteen digits with a right check digit."""
    nine, sign = _number(r, "#" * 9), r.choice(["-", " "])
    ten = (11 - sum((10 - i) * int(d) for i, d in enumerate(nine)) % 11) % 11
    thirteen = (10 - sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate("978" + nine)) % 10) % 10
    body = sign.join([nine[0], nine[1:4], nine[4:]])
    value = r.choice([f"{body}{sign}{'X' if ten == 10 else ten}", f"978{sign}{body}{sign}{thirteen}"])
    return r.choice([f"ISBN {value}", f"ISBN: {value}.", f"(ISBN {value})", f"The book ({value}) is out of print"])


def coordinates(r: random.Random) -> str:
    """A place on earth in one of the usual forms."""
    digits = r.randint(3, 7)
    latitude, longitude = f"{r.uniform(-90, 90):+.{digits}f}", f"{r.uniform(-180, 180):+.{digits}f}"
    return r.choice([
        f"Coordinates {latitude} {longitude} mark the mine.", f"at {latitude[1:]}, {longitude[1:]}",
        f"POINT({longitude} {latitude})", f"[{longitude}, {latitude}]", f"ISO 6709: {latitude}{longitude}/",
        f"{latitude} {longitude} on the map", f"lat={latitude}&lon={longitude}", f"GPS {latitude};{longitude}",
    ])  # fmt: skip


def years(r: random.Random) -> str:
    """Years in a row."""
    row = r.choice([" ", ", ", "-", " - ", "/", "–"]).join(str(r.randint(1500, 2099)) for _ in range(r.randint(2, 6)))
    return r.choice([f"The years {row} are in the table.", row, f"Census {row}", f"World Cups: {row}."])


def version(r: random.Random) -> str:
    """The version of a program, with a word or sign that says so."""
    number = ".".join(str(r.randint(0, 20)) for _ in range(r.choice([3, 4, 4, 5])))
    return r.choice([
        f"Version {number} fixes it.", f"v{number}", f"numpy {number}", f"kernel {number}", f"nginx {number} is out",
        f"release-{number}", f"pkg=={number}", f"Section {number} says", f"foo-{number}.tar.gz",
        f"requires >= {number}",
        f"tag {number}", f"build {number}",
    ])  # fmt: skip


def digest(r: random.Random) -> str:
    """A hash, an identifier of random bits, a hardware address."""
    h = hashlib.sha256(r.randbytes(8)).hexdigest()
    uuid = f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"
    return r.choice([
        f"Commit {h[:40]} broke it.", f"md5 {h[:32]}", f"sha256:{h}", f"uuid {uuid}", uuid, f'ETag "{h[:32]}"',
        f"blob {h[:12]}", f"MAC {':'.join(h[i : i + 2] for i in range(0, 12, 2))}", f"0x{h[:16]}",
    ])  # fmt: skip


def counts(r: random.Random) -> str:
    """Amounts, readings, rows of tables."""
    return r.choice([
        _number(r, "### ### ### people"), _number(r, "Population ## ### ###"), _number(r, "pages ####-####"),
        _number(r, "Meter reading 0049 #### ### on the dial"), _number(r, "readings: #### #### #### #### #### ####"),
        _number(r, "| #### | #### | #### | #### |"), _number(r, "$###,###,###"), _number(r, "DOI 10.####/########"),
        _number(r, "timestamp 16########"), _number(r, "matrix ## ## ## ## ## ## ##"),
        _number(r, "Bus lines #### #### #### #### stop here."),
    ])  # fmt: skip


HARD_NEGATIVES: dict[str, Callable[[random.Random], str]] = {
    "order": order, "isbn": isbn, "coordinates": coordinates, "years": years, "version": version, "digest": digest,
    "counts": counts,
}  # fmt: skip


def hard_negatives(kind: str, n: int, seed: int = 0) -> list[str]:
    """`n` texts of one kind without any personal data; the same for the same seed."""
    r = python_generator(seed, "hard negatives", kind)
    return [HARD_NEGATIVES[kind](r) for _ in range(n)]
