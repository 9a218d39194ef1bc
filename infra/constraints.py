"""Print constraints.txt: the versions, in this environment, of everything that TissLM and its extras pull in.

Only what the project's own metadata reaches is listed, so what somebody installed by hand beside it does not slip in.
Versions only: no hosts, no hashes, no paths, no local suffixes such as `+cpu`, so that the file fits every index.
"""

from __future__ import annotations

import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = "tisslm"
HEADER = f"""\
# Versions that work together (Python 3.11): `pip install -c constraints.txt` takes them; pyproject.toml has the ranges.
# Made by `make constraints` from what `{PROJECT}` and its extras reach in an environment whose tests pass. Do not edit.
"""


def reached(project: str = PROJECT) -> dict[str, str]:
    """Version by canonical name of every distribution that the project and all of its extras require, here installed.

    Raises:
        PackageNotFoundError: Something required is not installed; install all extras first.
    """
    versions: dict[str, str] = {}
    extras = set(metadata.metadata(project).get_all("Provides-Extra") or [])
    waiting, seen = [(project, frozenset(extras))], set()
    while waiting:
        name, extras_of = waiting.pop()
        if (name, extras_of) in seen:
            continue
        seen.add((name, extras_of))
        distribution = metadata.distribution(name)
        versions[name] = Version(distribution.version).public
        for text in distribution.requires or []:
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in {*extras_of, ""}):
                waiting.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    del versions[project]
    return versions


def main() -> None:
    """Print the file."""
    lines = [f"{name}=={version}\n" for name, version in sorted(reached().items())]
    sys.stdout.write(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
