"""The questions of "Datasheets for Datasets" (Gebru et al. 2021, Communications of the ACM 64(12), arXiv:1803.09010).

All seven sections with all their questions, in the order of the paper and in our own words. They are numbered here as
`section.question` (the paper sets them as bullets below 3.1 to 3.7), and have names, by which people answer them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: Its name within the section.
        text: The question.
        optional: Whether an empty answer is no gap (a last remark).
    """

    name: str
    text: str
    optional: bool = False


@dataclass(frozen=True)
class Section:
    """A stage in the life of a dataset."""

    name: str
    title: str
    questions: tuple[Question, ...]


OTHER = Question("other", "Is there anything else to say?", optional=True)

SECTIONS: tuple[Section, ...] = (
    Section(
        "motivation",
        "Motivation",
        (
            Question("purpose", "What was the dataset made for? Which task or gap did its makers have in mind?"),
            Question("creators", "Who made it, and on whose behalf?"),
            Question("funding", "Who paid for it? Which grants, if any?"),
            OTHER,
        ),
    ),
    Section(
        "composition",
        "Composition",
        (
            Question("instances", "What is one instance? Are there several kinds?"),
            Question("count", "How many instances are there, of each kind?"),
            Question(
                "sample", "Are these all instances there could be, or a sample of a larger set? How was it taken?"
            ),
            Question("content", "What does an instance hold: raw data or features?"),
            Question("labels", "Does an instance have a label or a target?"),
            Question("missing", "Is anything missing from instances, and why?"),
            Question("relations", "Are relations between instances stated?"),
            Question("splits", "Which splits for training, tuning and testing are recommended, and why these?"),
            Question("noise", "Which errors, sources of noise and redundancies are there?"),
            Question(
                "external", "Does it stand on its own, or depend on outside resources that may change or restrict it?"
            ),
            Question("confidential", "May it hold confidential data, such as privileged or private communication?"),
            Question("offensive", "Does it hold data that may offend, insult, threaten or frighten?"),
            Question("subpopulations", "About people: does it identify groups, such as by age or gender?"),
            Question(
                "identifiable", "About people: can individuals be identified, directly or together with other data?"
            ),
            Question(
                "sensitive", "About people: does it hold sensitive data, such as origins, beliefs, health, finances?"
            ),
            OTHER,
        ),
    ),
    Section(
        "collection",
        "Collection process",
        (
            Question(
                "acquisition",
                "How was the data of an instance obtained: observed, reported, or derived? Was it checked?",
            ),
            Question("mechanisms", "With which tools and procedures was it collected, and how were they checked?"),
            Question("sampling", "If it is a sample: by which strategy was it drawn?"),
            Question("people", "Who took part in collecting it, and how were they paid?"),
            Question("timeframe", "Over which time was it collected, and when was its content made?"),
            Question("ethics", "Was there an ethical review, and what came of it?"),
            Question("directly", "About people: did the data come from them directly, or from others?"),
            Question("notified", "About people: were they told of the collection, and how?"),
            Question("consent", "About people: did they agree to it, and how was that asked?"),
            Question("revocation", "About people: can they take their agreement back?"),
            Question("impact", "About people: was its impact on them analysed, as for data protection?"),
            OTHER,
        ),
    ),
    Section(
        "preprocessing",
        "Preprocessing, cleaning, labeling",
        (
            Question("done", "What was done to the data?"),
            Question("raw", "Is the raw data kept beside it?"),
            Question("software", "Is the software that did it available?"),
            OTHER,
        ),
    ),
    Section(
        "uses",
        "Uses",
        (
            Question("already", "What has it been used for already?"),
            Question("repository", "Where are papers and systems that use it listed?"),
            Question("tasks", "What else could it be used for?"),
            Question(
                "effects",
                "What in its composition, collection or cleaning may affect later uses? What helps against it?",
            ),
            Question("not_for", "What should it not be used for?"),
            OTHER,
        ),
    ),
    Section(
        "distribution",
        "Distribution",
        (
            Question("third_parties", "Will it be given to others?"),
            Question("how", "How will it be given, and has it a DOI?"),
            Question("when", "When?"),
            Question("license", "Under which licence or terms of use?"),
            Question("restrictions", "Have others restricted the data by rights of theirs?"),
            Question("export", "Do export controls or other rules apply to it?"),
            OTHER,
        ),
    ),
    Section(
        "maintenance",
        "Maintenance",
        (
            Question("maintainers", "Who keeps, hosts and supports it?"),
            Question("contact", "How can they be reached?"),
            Question("errata", "Is there a list of its errors?"),
            Question("updates", "Will it be updated: how often, by whom, and how is that told?"),
            Question("retention", "About people: is there a limit to how long the data may be kept?"),
            Question("older", "Will older versions stay available?"),
            Question("contributions", "How can others extend it or add to it?"),
            OTHER,
        ),
    ),
)

NAMES: dict[str, tuple[str, ...]] = {
    section.name: tuple(question.name for question in section.questions) for section in SECTIONS
}
