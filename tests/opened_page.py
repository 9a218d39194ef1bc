"""An HTML page as a browser without a network sees it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}
FETCHING = {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}


class OpenedPage(HTMLParser):
    """What is on the page, what it would fetch, and whether its elements are closed properly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.styles = re.findall(r"<style.*?</style>", html, re.DOTALL) + re.findall(r'style="([^"]*)"', html)
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in FETCHING:
                self.references.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words, white space made one."""
        return " ".join(" ".join(self.words).split())

    def fetched(self) -> list[str]:
        """Everything that is neither inside the page nor inside its own text."""
        urls = [url for style in self.styles for url in re.findall(r"url\(([^)]*)\)|@import[^;]*", style)]
        return [r for r in self.references + urls if r and not r.strip("'\"").startswith(("#", "data:"))]
