"""Sums, differences, products, quotients with remainder, and terms with brackets."""

from __future__ import annotations

import random
from collections.abc import Callable

from model.corpus.synthetic.example import Example

PHRASES = {
    "+": ("{a} + {b} =", "What is {a} + {b}?", "Add {a} and {b}.", "Compute {a} + {b}."),
    "-": ("{a} - {b} =", "What is {a} - {b}?", "Subtract {b} from {a}.", "Compute {a} - {b}."),
    "*": ("{a} * {b} =", "What is {a} * {b}?", "Multiply {a} by {b}.", "Compute {a} * {b}."),
    "/": ("Divide {a} by {b} with remainder.", "What is {a} divided by {b}? Give quotient and remainder."),
    "%": ("{a} mod {b} =", "What is the remainder of {a} divided by {b}?"),
}
TERMS = ("{term} =", "What is {term}?", "Compute {term}.", "Evaluate {term}.")
APPLY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def make_arithmetic(r: random.Random, difficulty: int) -> Example:
    """One problem: as many digits as the difficulty; from 4 on also terms of several operators.

    Half of the sums and differences carry or borrow somewhere, half do not; drawn evenly, long numbers always would.
    """
    if difficulty >= 4 and r.random() < 0.35:
        return _term(r, difficulty)
    sign = r.choice(["+", "-", "*"] if difficulty == 1 else ["+", "-", "*", "/", "%"])
    a, b = _number(r, difficulty), _number(r, difficulty)
    if sign in "+-":
        if r.random() < 0.5:
            a, b = _without_carry(r, difficulty, sign)
    elif sign == "*":
        b = _number(r, (difficulty + 1) // 2)
    else:
        b = max(_number(r, (difficulty + 1) // 2), 2)
    prompt = r.choice(PHRASES[sign]).format(a=a, b=b)
    if sign == "/":
        quotient, remainder = divmod(a, b)
        verifier = {"kind": "quotient", "quotient": str(quotient), "remainder": str(remainder)}
        return Example("arithmetic", prompt, f"{quotient} remainder {remainder}", verifier, difficulty)
    value = a % b if sign == "%" else APPLY[sign](a, b)
    return Example("arithmetic", prompt, str(value), {"kind": "number", "value": str(value)}, difficulty)


def carries(a: int, b: int) -> int:
    """How many columns of the sum of two numbers carry."""
    n = carry = 0
    while a or b:
        carry = (a % 10 + b % 10 + carry) // 10
        n += carry
        a, b = a // 10, b // 10
    return n


def _number(r: random.Random, digits: int) -> int:
    length = r.randint(max(1, digits - 1), digits)
    return r.randrange(10 ** (length - 1) if length > 1 else 0, 10**length)


def _without_carry(r: random.Random, digits: int, sign: str) -> tuple[int, int]:
    """Two numbers whose sum carries nowhere, or whose difference borrows nowhere."""
    a = b = 0
    for place in range(r.randint(max(1, digits - 1), digits)):
        top = r.randint(1, 9)
        below = r.randint(0, 9 - top) if sign == "+" else r.randint(0, top)
        a, b = a + top * 10**place, b + below * 10**place
    return a, b


def _term(r: random.Random, difficulty: int) -> Example:
    """A term with two to four operators; `*` binds closer, brackets closest. Its value is found while it is built."""
    digits = max(1, difficulty // 2)
    value = _number(r, digits)
    term, loosest = str(value), "*"
    for _ in range(r.randint(2, 2 + difficulty // 4)):
        sign, operand = r.choice("+-*"), _number(r, digits)
        if sign == "*" and loosest != "*":
            term = f"({term})"
        loosest = sign if sign != "*" else "*"
        term, value = f"{term} {sign} {operand}", APPLY[sign](value, operand)
    prompt = r.choice(TERMS).format(term=term)
    return Example("arithmetic", prompt, str(value), {"kind": "number", "value": str(value)}, difficulty)
