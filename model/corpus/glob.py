"""Which relative paths a pattern means, by the rules of `pathlib` (`**` crosses folders, `*` does not)."""

from __future__ import annotations

import functools
import re


@functools.cache
def glob_pattern(glob: str) -> re.Pattern[str]:
    """A regular expression for a glob over relative paths with `/`."""
    parts = []
    i = 0
    while i < len(glob):
        if glob.startswith("**/", i):
            parts.append("(?:.*/)?")
            i += 3
        elif glob.startswith("**", i):
            parts.append(".*")
            i += 2
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(glob[i], re.escape(glob[i])))
            i += 1
    return re.compile("".join(parts), re.DOTALL)


def matches(path: str, glob: str) -> bool:
    """Whether a relative path is meant by a glob."""
    return glob_pattern(glob).fullmatch(path) is not None
