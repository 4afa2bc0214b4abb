"""The papers of docs/references.bib."""

import re
from typing import NamedTuple

from experiments.common import pages

FILE = pages.DOCS / "references.bib"


class Entry(NamedTuple):
    """One paper.

    Attributes:
        authors: their surnames.
        title: as published.
        year: empty for a poster without one.
        arxiv: its number, empty if it has none.
    """

    authors: tuple[str, ...]
    title: str
    year: str
    arxiv: str

    @property
    def heading(self) -> str:
        """Names the authors and the year: ``Arora and Zhang (2017)``."""
        *most, last = self.authors
        names = f"{', '.join(most)} and {last}" if most else last
        return f"{names} ({self.year})" if self.year else names

    @property
    def short(self) -> str:
        """Names the first author and the year: ``Wei et al. 2022``."""
        return f"{self.authors[0]} et al. {self.year}"


def entries() -> dict[str, Entry]:
    """Reads all papers, by key."""
    text = FILE.read_text(encoding="utf-8")
    return {
        key: _entry(body)
        for key, body in re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.DOTALL | re.MULTILINE)
    }


def _entry(body: str) -> Entry:
    written = dict(re.findall(r"^  (\w+) = \{(.*?)\},$", body, re.DOTALL | re.MULTILINE))
    fields = {name: " ".join(re.sub("[{}]", "", text).split()) for name, text in written.items()}
    surnames = tuple(name.partition(",")[0] for name in fields["author"].split(" and "))
    return Entry(surnames, fields["title"], fields.get("year", ""), fields.get("eprint", ""))
