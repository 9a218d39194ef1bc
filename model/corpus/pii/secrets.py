"""Keys, tokens, private keys and passwords: known forms by their prefix, others by the name they are assigned to.

The prefixes are those that the services publish (GitHub "About authentication", Slack "Token types", AWS "IAM unique
identifiers", Google "API keys", Stripe, OpenAI and others; gitleaks collects them). Every known token holds at least
sixteen letters, digits, `_` or `-` in a row: only such runs are looked at, each up to 4,096 characters.
detect-secrets is not used: it names lines, not the places to replace, and tries every plugin on every line.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterator

from model.corpus.pii.shape import Prepared
from model.corpus.pii.spans import Span

RUN = 16
LONGEST_LOOKED_AT = 4096
LONGEST_PEM = 16_384
TOKEN_CHARACTERS = bytes.maketrans(b"a0_-", b"xxxx")
RUN_MARK = b"x" * RUN
RUN_REST = re.compile(rb"x+")
KNOWN = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,64}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-[A-Za-z0-9-]{10,250}"
    r"|AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])|GOCSPX-[A-Za-z0-9_-]{20,40}|ya29\.[A-Za-z0-9_-]{20,512}"
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9+/=]{24,64}"
    r"|sk-(?:proj-|ant-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,247}|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,512}"
    r"|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|key-[0-9a-f]{32}|(?:SK|AC)[0-9a-f]{32}"
    r"|do[opr]_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|EAACEdEose0cBA[A-Za-z0-9]{10,400}"
    r"|dckr_pat_[A-Za-z0-9_-]{20,64}|dapi[0-9a-f]{32}|lin_api_[A-Za-z0-9]{32,64}|r8_[A-Za-z0-9]{32,64}|gsk_[A-Za-z0-9]{32,64}"
    r"|eyJ[A-Za-z0-9_-]{10,2048}\.[A-Za-z0-9_-]{4,4096}(?:\.[A-Za-z0-9_-]{0,1024})?"
    r"|\d{8,10}:AA[A-Za-z0-9_-]{33}"
    r")"
)
PREFIX = re.compile(
    r"(?<![A-Za-z0-9_])(?=A3T|AKIA|A[SBC][IC]A|AROA|AIDA|gh[pousr]_|github_pat_|glpat-|xox|xapp-|AIza|GOCSPX-|ya29\.|"
    r"[srp]k_|whsec_|sk-|hf_|npm_|pypi-|SG\.|key-|SK|AC|do[opr]_v1_|shp|sq0|EAAC|dckr_|dapi|lin_|r8_|gsk_|eyJ|\d{8,10}:AA)"
)
HOOK, HOOK_REST = "hooks.slack.com/", re.compile(r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/_-]{20,128}")
PEM = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PEM_BODY = re.compile(r"(?:[ \t]*(?:\\n|\r?\n)?[A-Za-z0-9+/=:,-]{1,128})+")
AUTHORIZATION = ("Bearer ", "Basic ")
AUTHORIZED = re.compile(r"[A-Za-z0-9._~+/=-]{16,2048}")
NAME_WINDOW = 40
NAME_LAST = frozenset("dDeEtTnNyYsSrRaAgGkK_0123456789\"'])`*")
NAME = re.compile(
    r"(?P<password>pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|contrase[nñ]a|mot de passe|senha)s?(?![^\W\d_])"
    r"|(?P<token>(?:secret|token|credential|bearer|auth|apikey|session[_ -]?(?:id|key)|secret[_ -]?access[_ -]?key|"
    r"(?:api|access|private|secret|auth|account|encryption|signing|master|licen[cs]e|deploy|service|storage|app|"
    r"consumer|client|shared)[_ -]?(?:key|secret)(?:[_ -]?id)?))s?(?![^\W\d_])"
)
NAME_END = re.compile(r"(?:[\d_-][A-Za-z0-9_-]{0,16})?(?: (?:id|value|is|no))?[\"'\])*` \t]{0,4}\Z")
ASSIGNED = re.compile(
    r"(?:={1,2}>?|:=?)[ \t]{0,4}(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\r\n]{4,256})(?P=quote)"
    r"|[\"'`]?(?P<value>[^\s\"'`,;<>(){}\[\]]{4,512}+)(?![(<\[]))"
)
IDENTIFIER = re.compile(r"[A-Za-z_.]+")
IN_WORDS = re.compile(r"(?:is|was|to)(?: now| set to)?:? [\"'`]?(?P<value>[^\s\"'`,;<>(){}\[\]]{4,512})")
IN_WORDS_AT = {"assword ": True, "assphrase ": True, " key is ": False, "oken is ": False, "ecret is ": False}
PLACEHOLDER = re.compile(
    r"(?:[*x.•#_-]+|none|null|nil|true|false|undefined|required|optional|string|str|int|bool|text|password|passwd|secret|"
    r"token|changeme|value|redacted|hidden|empty|todo|tbd|n/a|example|your.*|my[_-]?(?:password|secret|token|key)|"
    r"\$.*|%.*|@.*|os\..*|env\..*|process\..*|self\..*|config\..*|settings\..*|request\..*|args\..*|getpass.*|input|"
    r"https?:.*|insert.*|enter.*|replace.*|.*\.(?:py|js|json|md|txt|yaml|yml|html|pem|key|crt))\Z",
    re.IGNORECASE,
)
SENTENCE_ENDS = ".,;:?"  # not `!`, in which passwords love to end


def find_secrets(text: Prepared) -> Iterator[Span]:
    """Keys and tokens in known forms, JSON web tokens, PEM private keys, and what is assigned to telling names."""
    yield from _known(text)
    yield from _pem(text.view)
    yield from _assigned(text.view)
    yield from _in_words(text.view)


def _known(text: Prepared) -> Iterator[Span]:
    view, runs = text.view, text.shape.translate(TOKEN_CHARACTERS)
    place = runs.find(RUN_MARK)
    while place >= 0:
        rest = RUN_REST.match(runs, place)
        run_end = rest.end() if rest else place + RUN
        end = 0
        for prefix in PREFIX.finditer(view, max(0, place - 12), min(run_end, place + LONGEST_LOOKED_AT)):
            match = KNOWN.match(view, prefix.start()) if prefix.start() >= end else None
            if match:
                end = match.end()
                yield Span(match.start(), end, "secret")
        if view[max(0, place - 7) : place].endswith(AUTHORIZATION) and (match := AUTHORIZED.match(view, place)):
            yield Span(place, match.end(), "secret")
        place = runs.find(RUN_MARK, max(run_end, end))
    place = view.find(HOOK)
    while place >= 0:
        if match := HOOK_REST.match(view, place):
            yield Span(place, match.end(), "secret")
        place = view.find(HOOK, place + 1)


def _pem(view: str) -> Iterator[Span]:
    end = searched = 0
    for match in PEM.finditer(view):
        if match.start() < end:
            continue
        limit = match.end() + LONGEST_PEM
        closing = PEM_END.search(view, max(match.end(), searched), limit)
        searched = limit - 64 if closing is None else 0  # no end up to here: not looked for twice
        body = closing or PEM_BODY.match(view, match.end(), limit)
        end = body.end() if body else match.end()
        yield Span(match.start(), end, "secret")


def _assigned(view: str) -> Iterator[Span]:
    for sign in (":", "="):
        place = view.find(sign)
        while place >= 0:
            last = view[place - 1 : place].strip() or view[place - 2 : place - 1]
            if last in NAME_LAST and last != "":
                span = _assignment(view, place)
                if span:
                    yield span
            place = view.find(sign, place + 1)


def _assignment(view: str, place: int) -> Span | None:
    following = view[place + 1 : place + 2]
    if following in {"\n", "\r", ""} or following == view[place] == ":" or following == "/":
        return None
    window = view[max(0, place - NAME_WINDOW) : place].lower()
    names = list(NAME.finditer(window))
    if not names or not NAME_END.match(window, names[-1].end()) or "\n" in window[names[-1].end() :]:
        return None
    match = ASSIGNED.match(view, place)
    if not match:
        return None
    group = "quoted" if match["quote"] else "value"
    found = match[group].rstrip("" if match["quote"] else SENTENCE_ENDS)
    in_prose_or_code = group == "value" and following == " "
    if group == "value" and IDENTIFIER.fullmatch(found) and NAME.search(found.lower()):
        return None  # a variable: password=db_password
    if _is_secret(found, password=names[-1]["password"] is not None, certain=not in_prose_or_code):
        return Span(match.start(group), match.start(group) + len(found), "secret")
    return None


def _in_words(view: str) -> Iterator[Span]:
    for words, password in IN_WORDS_AT.items():
        place = view.find(words)
        while place >= 0:
            match = IN_WORDS.match(view, place + (len(words) if password else len(words) - 3))
            value = match["value"].rstrip(SENTENCE_ENDS) if match else ""
            if match and _is_secret(value, password=password, certain=False):
                yield Span(match.start("value"), match.start("value") + len(value), "secret")
            place = view.find(words, place + 1)


def _is_secret(value: str, password: bool, certain: bool) -> bool:
    """Whether a value looks chosen to be secret: passwords by mixture, tokens by length and entropy."""
    if PLACEHOLDER.match(value) or len(value) < 4:
        return False
    letters, digits = any(c.isalpha() for c in value), any(c.isdigit() for c in value)
    signs = any(c in string.punctuation and c not in "-._/'" for c in value)
    if password:
        return (certain and len(value) >= 4) or (len(value) >= 6 and letters + digits + signs >= 2)
    if len(value) >= 16:
        return entropy(value) >= 3.0 and (digits or signs) and (letters or digits)
    return len(value) >= 8 and letters and digits and entropy(value) >= 2.5


def entropy(value: str) -> float:
    """Shannon entropy of a string's characters, in bits per character."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
