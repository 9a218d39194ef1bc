"""Examples as a stream, and as records of a source that is mixed into a corpus."""

from __future__ import annotations

from collections.abc import Iterator

from model.corpus.readers.source_file import Record
from model.corpus.selection import stable_hash
from model.corpus.synthetic.arithmetic import make_arithmetic
from model.corpus.synthetic.config import SyntheticSource
from model.corpus.synthetic.example import Example, Task
from model.corpus.synthetic.instructions import make_instruction
from model.corpus.synthetic.json_tasks import make_json
from model.corpus.synthetic.sequences import make_copying, make_counting, make_reversing, make_sorting
from model.errors import CorpusError
from model.files import canonical_json
from model.randomness import python_generator

TASKS: dict[str, Task] = {
    "arithmetic": make_arithmetic,
    "json": make_json,
    "copying": make_copying,
    "reversing": make_reversing,
    "sorting": make_sorting,
    "counting": make_counting,
    "instructions": make_instruction,
}
TEST_SHARE = 0.1
TRIES_PER_EXAMPLE = 500


def side_of(prompt: str) -> str:
    """The side that a prompt belongs to, whatever seed it was drawn with."""
    return "test" if stable_hash("synthetic", prompt) / 2**64 < TEST_SHARE else "train"


def generate(source: SyntheticSource) -> Iterator[Example]:
    """As many different examples as asked for; the same for the same source.

    Holds eight bytes of each prompt in memory, no more.

    Raises:
        CorpusError: There are not that many different prompts of this difficulty.
    """
    make, seen, draw, failed = TASKS[source.synthetic], set[int](), 0, 0
    while len(seen) < source.count:
        r = python_generator(source.seed, "synthetic", source.synthetic, draw)
        draw += 1
        example = make(r, r.randint(*source.difficulty))
        key = stable_hash(example.prompt)
        if key in seen or source.side not in {"all", side_of(example.prompt)}:
            failed += 1
            if failed > TRIES_PER_EXAMPLE:
                raise CorpusError(
                    f"{source.name}: only {len(seen):,} different prompts found at difficulty "
                    f"{list(source.difficulty)}, expected {source.count:,}: raise the difficulty or lower `count`"
                )
            continue
        seen.add(key)
        failed = 0
        yield example


def records(source: SyntheticSource) -> Iterator[Record]:
    """The examples as records: the text, and task, prompt, answer, difficulty and verifier as fields."""
    for number, example in enumerate(generate(source), 1):
        fields = example.row()
        fields["verifier"] = canonical_json(fields["verifier"])
        yield Record(str(number), iter((fields.pop("text"),)), fields)
