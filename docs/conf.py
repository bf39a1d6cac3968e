"""The site that ci/docs builds: Markdown pages, with reference pages made from docstrings, headers and modules when it is built."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "docs" / "extensions"))

project = "Parla"
author = "the authors of Parla for MPI jobs"
version = release = re.search(r'VERSION_STRING "(.*)"', (TOP / "libparla/include/parla/common.h").read_text())[1]
html_title = f"Parla {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "generated", "docstrings"]
exclude_patterns = ["README.md", "extensions"]
root_doc = "index"
nitpicky = True
nitpick_ignore_regex = [
    # of the C library, of MPI and of NumPy; and what the docstrings call code
    ("c:identifier", r"(u?int\d+_t|size_t|bool|MPI_\w+|FILE|va_list|ssize_t)"),
    ("py:(class|obj|data|exc|func|meth|attr)", r".*"),
]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "substitution"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_param = napoleon_use_rtype = False
default_role = "code"
highlight_language = "none"
pygments_style = "tango"
pygments_dark_style = "monokai"

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
templates_path = []
copybutton_prompt_text = r"^\$ "
copybutton_prompt_is_regexp = True
