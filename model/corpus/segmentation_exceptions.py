"""English words that are cut, or kept whole, against the rules: contractions, abbreviations, emoticons.

The conventions are those of the Penn Treebank as spaCy's English tokenizer applies them (`spacy.lang.en`), because
the published filters were tuned on words cut that way: `don't` is two words, `Mr.` is one.
"""

from __future__ import annotations

from collections.abc import Iterator

# Words that look like a contraction without its apostrophe but are words of their own.
NEVER_CUT = "Ill ill Its its Hell hell Shell shell Shed shed were Were Well well Whore whore"
KEPT_WHOLE = (
    "a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z. ä. ö. ü. ' '' \\\") <space> "
    "C++ — \\t \\n 'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am "
    "o'clock O'clock lovin' Lovin' lovin Lovin havin' Havin' havin Havin doin' Doin' doin Doin goin' Goin' goin "
    "Goin nothin' Nothin' nothin Nothin nuthin' Nuthin' nuthin Nuthin ol' Ol' ol Ol somethin' Somethin' somethin "
    "Somethin 'em em 'll ll 'nuff nuff 'd a.m. p.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. "
    "i.e. I.e. I.E. Inc. Jr. Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. Mt. "
    "Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. "
    "Kan. Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. "
    "Okla. Ore. Pa. S.C. Sep. Sept. Tenn. Va. Wash. Wis."
)
EMOTICONS = (
    ":) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-; :( :-( "
    ":(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O :-O :o "
    ":-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ "
    "^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o "
    "@_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>"
)
QUESTIONS = ("who", "what", "when", "where", "why", "how", "there", "that", "this", "these", "those")
PRONOUNS = ("i", "you", "he", "she", "it", "we", "they")
NEGATED = "ca could do does did had may might must need ought sha should wo would"
NEGATED_ONLY = "ai are is was were have has dare"
WITH_HAVE = "could might must should would"


def exceptions() -> dict[str, tuple[str, ...]]:
    """The pieces of each exception; a word that stays whole has one."""
    found: dict[str, tuple[str, ...]] = {word: (word,) for word in (*KEPT_WHOLE.split(), *EMOTICONS.split())}
    for pieces in _contractions():
        for cut in (pieces, (pieces[0][0].upper() + pieces[0][1:], *pieces[1:])):
            found["".join(cut)] = cut
    found["y'all"], found["yall"] = ("y'", "all"), ("y", "all")
    for hour in range(1, 13):
        for half in ("a.m.", "am", "p.m.", "pm"):
            found[f"{hour}{half}"] = (str(hour), half)
    for unit in "cfkCFK":
        found[f"°{unit}."] = ("°", unit, ".")
    for word in NEVER_CUT.split():
        found.pop(word, None)
    curly = {word.replace("'", "’"): tuple(p.replace("'", "’") for p in cut) for word, cut in found.items()}
    return found | curly


def _contractions() -> Iterator[tuple[str, ...]]:
    """Contractions in lower case, with their apostrophes and without."""
    for pieces in _contractions_with_apostrophe():
        yield pieces
        yield tuple(piece.replace("'", "") for piece in pieces)
    yield from (("can", "not"), ("gon", "na"), ("got", "ta"), ("let", "'s"), ("c'm", "on"), ("how", "'d", "'y"))


def _contractions_with_apostrophe() -> Iterator[tuple[str, ...]]:
    yield from (("i", "'m"), ("i", "'m", "a"), ("not", "'ve"))
    for word in PRONOUNS + QUESTIONS:
        yield from ((word, "'ll"), (word, "'ll", "'ve"), (word, "'d"), (word, "'d", "'ve"))
        if word in ("he", "she", "it") or (word in QUESTIONS and word not in ("these", "those")):
            yield (word, "'s")
        if word not in ("he", "she", "it", "that", "this"):
            yield (word, "'ve")
        if word not in ("i", "he", "she", "it", "that", "this"):
            yield (word, "'re")
    for word in NEGATED.split():
        yield from ((word, "n't"), (word, "n't", "'ve"))
    for word in NEGATED_ONLY.split():
        yield (word, "n't")
    for word in WITH_HAVE.split():
        yield (word, "'ve")
