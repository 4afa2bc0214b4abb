"""The site, which ``make docs`` builds into ``build/site`` from the pages, the docstrings and the notebooks."""

import sys
from pathlib import Path

import mixgan_jax

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mixgan_jax"
version = release = mixgan_jax.__version__

# The source is the repository, not docs/ alone: a link from file to file leads on the site where it leads on GitHub.
# Files that are no pages, such as kept results, are copied to the site.
include_patterns = [
    "docs/**.md",
    "experiments/*/README.md",
    "notebooks/*.ipynb",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "dist", "runs", "mixgan_jax", "tests"]
root_doc = "docs/index"

# Without intersphinx: a build reaches no network, so it is the same everywhere. Names of other libraries have no links.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "myst_nb",
    "api",
    "pages",
    "mathml",
]

autodoc_typehints = "none"  # signatures are those of the source: _ext/api.py
autodoc_inherit_docstrings = False
maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]

highlight_language = "none"  # of code that does not name one
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3

# Notebooks are stored without outputs, so they run while the site is built.
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_output_stderr = "remove"

bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "{key}"

html_theme = "furo"
html_title = f"mixgan_jax {version}"
html_static_path = ["_static"]
html_extra_path = ["_root"]  # leads from the first page's usual address to docs/
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
