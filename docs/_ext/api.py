"""API pages: the public names of a room, with signatures as the source has them.

Docstrings and annotations name things as their own module sees them; what is not on a page under that name is looked
up here. A name in a signature that has no page at all, such as another library's, stands there without a link.
"""

import ast
import copy
import inspect
import textwrap
from importlib.util import find_spec
from typing import Any

from docutils import nodes
from public import Public, all_public, find_alias
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive ``room``, the signatures, and what finds names."""
    app.add_directive("room", Room)
    app.connect("autodoc-process-signature", written_signature)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", mend_sections, priority=100)  # before Napoleon
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Room(SphinxDirective):
    """Documents one room: its docstring, a table of its public names, and each of them."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Writes the room as reStructuredText, which Sphinx then reads."""
        room = self.arguments[0]
        entries = [public for public in all_public().values() if public.room == room]
        lines = ["~~~{eval-rst}", f".. automodule:: mixgan_jax.{room}"]
        for public in entries:
            lines += ["", *_entry(public)]
        return self.parse_text_to_nodes("\n".join([*lines, "~~~"]))


def _entry(public: Public) -> list[str]:
    if isinstance(public.node, ast.FunctionDef):
        return [f".. autofunction:: {public.path}"]
    if isinstance(public.node, ast.ClassDef) and public.path.endswith("Error"):
        return [f".. autoexception:: {public.path}()"]
    if isinstance(public.node, ast.ClassDef):
        return [f".. autoclass:: {public.path}", "   :members:", "   :special-members: __call__"]
    written = _Plain(public.home.rpartition(".")[0]).visit(copy.deepcopy(public.node.value))
    lines = [f".. py:type:: {public.path}", f"   :canonical: {ast.unparse(written)}", ""]
    return lines + textwrap.indent(inspect.cleandoc(public.about), "   ").splitlines()


def written_signature(
    app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str, returns: str
) -> tuple[str, str | None] | None:
    """Writes a signature as the source has it: ``key: Key``, where autodoc sees a ``jax.Array``."""
    if what not in {"function", "method", "class", "exception"}:
        return None
    value = inspect.unwrap(value)
    plain = _Plain(value.__module__)
    if inspect.isclass(value):
        return f"({', '.join(_fields(value, plain))})", None
    node = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    if what == "method" and node.args.args and node.args.args[0].arg == "self":
        del node.args.args[0]
    node = plain.visit(node)
    return f"({ast.unparse(node.args)})", node.returns and ast.unparse(node.returns)


def _fields(value: type, plain: "_Plain") -> list[str]:
    """The parameters of a class: its fields, or else those of its ``__init__``."""
    fields: dict[str, str] = {}
    for base in reversed(value.__mro__):
        if base.__module__.startswith("mixgan_jax"):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body
            for node in body:
                if isinstance(node, ast.AnnAssign) and not node.target.id.startswith("_"):
                    fields[node.target.id] = ast.unparse(plain.visit(node))
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    del node.args.args[0]
                    fields = {"": ast.unparse(plain.visit(node).args)}
    return list(fields.values())


class _Plain(ast.NodeTransformer):
    """Writes ``int`` for ``Annotated[int, ...]``, and an alias that has no page as what it stands for."""

    def __init__(self, module: str) -> None:
        self.module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        alias = None if _lookup(node.id) else find_alias(self.module, node.id)
        return _Plain(alias.module).visit(alias.value) if alias else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "Annotated":
            return self.visit(node.slice.elts[0])
        return self.generic_visit(node)


def skip_fields(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool:
    """Leaves out fields of classes, which the section "Attributes" describes."""
    of_tuple = (inspect.getdoc(value) or "").startswith("Alias for field number")
    default = not getattr(value, "__module__", "mixgan_jax").startswith("mixgan_jax")
    return skip or of_tuple or default


def mend_sections(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Marks a result's description as one without a type: Napoleon takes all before a colon for the type."""
    for i, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            text = lines[i + 1].lstrip()
            lines[i + 1] = lines[i + 1].removesuffix(text) + f": {text}"
    if what == "property":
        lines[0] = f": {lines[0]}"


def find(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Finds the page of a name that is not public where it is used: ``Mixture`` in ``mixgan_jax.losses``."""
    if node.get("refdomain") != "py":
        return None
    path = _lookup(node["reftarget"])
    if path:
        domain = env.get_domain("py")
        args = (env, node["refdoc"], app.builder, node["reftype"], path, node, content)
        return domain.resolve_xref(*args)
    library = node["reftarget"].partition(".")[0]
    known = library != "mixgan_jax" and "." in node["reftarget"] and find_spec(library)
    return content if known or _in_signature(node) else None


def _lookup(target: str) -> str | None:
    """The path that a name has on the pages: by its definition, or by its last part if only one name ends so."""
    if target in all_public():
        return all_public()[target].path
    found = {p.path for p in all_public().values() if f".{p.path}".endswith(f".{target}")}
    return found.pop() if len(found) == 1 else None


def _in_signature(node: nodes.Node | None) -> bool:
    while node is not None and not isinstance(node, addnodes.desc_signature):
        node = node.parent
    return node is not None
