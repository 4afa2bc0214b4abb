"""Rules that let pages read well on GitHub and have links on the site: the glossary, calls, and papers."""

import re

from docutils import nodes
from public import all_public
from sphinx import addnodes
from sphinx.application import Sphinx

from experiments.common.bibliography import entries


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the rules."""
    app.connect("source-read", make_glossary)
    app.connect("doctree-read", link_calls)
    app.connect("doctree-read", link_papers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make_glossary(app: Sphinx, docname: str, source: list[str]) -> None:
    """Makes terms of the glossary's paragraphs, which begin with ``**Term.**`` or ``**One term, another.**``."""
    if docname != "docs/glossary":
        return
    title, *entries = source[0].strip().split("\n\n")
    lines = [title, "", "```{glossary}"]
    for entry in entries:
        terms, text = re.fullmatch(r"\*\*(.*?)\.\*\*\s+(.*)", entry, re.DOTALL).groups()
        lines += [*terms.split(", "), *(f"  {line}" for line in text.splitlines()), ""]
    source[0] = "\n".join([*lines, "```"])


def link_calls(app: Sphinx, doctree: nodes.document) -> None:
    """Links code in pages to what it names, as ``mg.mix_gan``."""
    paths = {public.path for public in all_public().values()}
    paths |= {f"mixgan_jax.{public.room}" for public in all_public().values()}
    for literal in list(doctree.findall(nodes.literal)):
        path = re.sub(
            r"^mg\.", "mixgan_jax.", re.sub(r"\(.*", "", literal.astext(), flags=re.DOTALL)
        )
        if path in paths and not isinstance(
            literal.parent, nodes.reference | addnodes.pending_xref
        ):
            link = addnodes.pending_xref(
                "",
                refdomain="py",
                reftype="obj",
                reftarget=path,
                refdoc=app.env.docname,
                refexplicit=True,
            )
            literal.replace_self(link)
            link += literal


def link_papers(app: Sphinx, doctree: nodes.document) -> None:
    """Links an arXiv number in a docstring to the bibliography."""
    keys = {entry.arxiv: key for key, entry in entries().items()}
    page = app.builder.get_relative_uri(app.env.docname, "docs/references")
    for text in list(doctree.findall(nodes.Text)):
        words = re.split(r"(arXiv\s\d{4}\.\d{4,5})", text)
        if len(words) > 1 and isinstance(text.parent, nodes.paragraph):
            text.parent.replace(text, [_paper(word, keys, page) for word in words if word])


def _paper(word: str, keys: dict[str, str], page: str) -> nodes.Node:
    key = keys.get(word[-10:]) if word.startswith("arXiv") else None
    return nodes.reference("", word, refuri=f"{page}#{key}") if key else nodes.Text(word)
