"""The compiled walk over the bytes gives what py3langid itself gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from model.corpus.filters.language import identifier
from tests.toy_texts import toy_text

THEIRS = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
TEXTS = {
    "en": toy_text(1),
    "de": "Der Bundestag hat gestern über den neuen Haushalt beraten, doch eine Entscheidung fiel noch nicht.",
    "fr": "Les députés ont longuement débattu du budget, mais aucune décision n'a encore été prise.",
    "es": "Los diputados debatieron ayer el nuevo presupuesto, pero todavía no se ha tomado ninguna decisión.",
    "ru": "Депутаты вчера обсуждали новый бюджет, но решение пока не принято.",
    "ja": "昨日、議会では新しい予算について議論されましたが、まだ決定には至っていません。",
    "ar": "ناقش النواب أمس الميزانية الجديدة ولكن لم يتخذ أي قرار بعد.",
}


@pytest.mark.feature("CORP-06")
@pytest.mark.parametrize("language", TEXTS)
def test_languages_are_recognised_with_the_probability_of_the_library(language):
    found, probability = identifier().classify(TEXTS[language])
    theirs, expected = THEIRS.classify(TEXTS[language])
    assert found == theirs == language
    assert probability == pytest.approx(float(expected), abs=1e-4)


@given(st.text(max_size=300))
def test_any_text_gets_the_probability_of_the_library(text):
    _, probability = identifier().classify(text)
    assert probability == pytest.approx(float(THEIRS.classify(text)[1]), abs=1e-3)
