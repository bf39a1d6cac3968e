"""Turn a public C header into a page: what stands in the comments is the reference, and nothing is written twice.

A header of this project is a head comment, section comments (``/* --- Title --- */``), and groups: a comment, and the declarations up to the
next empty line that it speaks of. `markdown` gives each group to Sphinx's C domain, so every function, type and macro can be linked to
and found. Whatever it does not understand is an error: a header that this cannot read is one that breaks the conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_SECTION = re.compile(r"/\* --- (.*?) -+ \*/$")
_SKIPPED = re.compile(r"#(include|if|ifdef|ifndef|else|endif|undef)\b|PARLA_(BEGIN|END)_DECLS$|static_assert|_Static_assert")
_ATTRIBUTES = re.compile(r"\b(PARLA_API|PARLA_MUST_USE|static|inline)\b\s*|\s*PARLA_PRINTF\([^)]*\)")
_FIELD = re.compile(r"(Owns|From|Errors|Returns|[a-z_]+)(?: \([^)]*\))?(?:, (Owns|From|Errors))?: +")
_TOKEN = re.compile(r"(`[^`]*`)|(\*?\b(?:parla|cx|PARLA|CX)_\w+(?:\.\w+)?(?:\(\))?)|(\*\w+)|(\w*_\w+)|([*<>\[\]{}|$#~])")


def _groups(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (comment, declarations) in the order of the header; a section's title comes as ("## title", [])."""
    lines = text.splitlines()
    comment: list[str] = []
    declarations: list[str] = []
    i = 0
    while i < len(lines):
        line = lines[i].rstrip()
        i += 1
        section = _SECTION.match(line)
        if not line or section:
            if comment or declarations:
                yield "\n".join(comment), declarations
            comment, declarations = [], []
            if section:
                yield f"## {section[1].strip()}", []
        elif line.startswith("/*"):
            if declarations:
                yield "\n".join(comment), declarations
                comment, declarations = [], []
            while not line.endswith("*/"):
                comment.append(line)
                line = lines[i].rstrip()
                i += 1
            comment.append(line)
        elif line == "#else":  # what other compilers get
            i = next(j for j in range(i, len(lines)) if lines[j].startswith("#endif"))
        elif not _SKIPPED.match(line):
            declaration = [line]
            while not _is_whole(declaration):
                declaration.append(lines[i].rstrip())
                i += 1
            declarations.append("\n".join(declaration))
    if comment or declarations:
        yield "\n".join(comment), declarations


def _is_whole(lines: list[str]) -> bool:
    if lines[0].startswith("#"):
        return not lines[-1].endswith("\\")
    code = re.sub(r"/\*.*?\*/", "", "\n".join(lines), flags=re.DOTALL).rstrip()
    return code.count("{") == code.count("}") and code.count("(") == code.count(")") and code.endswith((";", "}")) and "/*" not in code


def _prose(comment: str, names: dict[str, str]) -> str:
    """Return a comment's text as Markdown: its fixed words (Owns, From, Errors, arguments) as fields, what is code as code."""
    text = re.sub(r"^/\*|\*/$", "", comment.strip())
    out: list[str] = []
    for raw in text.splitlines():
        line = re.sub(r"^\s*\*(?=\s|$) ?", "", raw).rstrip()
        is_deep = len(line) - len(line.lstrip()) >= 3
        line = line.strip()
        field = None if is_deep else _FIELD.match(line)
        if field and (field[1][0].isupper() or re.match(r"[a-z_]+: +[a-z{]", line)):
            name = field[0].rstrip(": ").strip()
            if out and not out[-1].startswith(":") and out[-1]:
                out.append("")
            out.append(f":{name}: {_marked(line[field.end():], names)}")
        elif out and out[-1].startswith((":", "  ")) and line:
            out.append("  " + _marked(line, names))
        else:
            out.append(_marked(line, names))
    return "\n".join(out)


def _marked(line: str, names: dict[str, str]) -> str:
    def mark(found: re.Match[str]) -> str:
        quoted, name, pointer, word, other = found.groups()
        if quoted:
            return quoted
        if name:
            bare = name.removesuffix("()")
            return f"{{c:{names[bare]}}}`{bare}`" if bare in names else f"`{name}`"
        if pointer or word:
            return f"`{pointer or word}`"
        return "\\" + other

    return _TOKEN.sub(mark, line)


def _named(declaration: str) -> tuple[str, str, str]:
    """Return (directive, signature, code): what Sphinx calls it, and what is shown as it stands, if anything."""
    code = re.sub(r"/\*.*?\*/", "", declaration, flags=re.DOTALL).strip()
    if code.startswith("#define"):
        name = re.match(r"#define (\w+(?:\([^)]*\))?)", code)
        assert name, declaration
        return "macro", name[1], declaration if "\n" in declaration or len(code.split()) > 2 else ""
    flat = " ".join(_ATTRIBUTES.sub("", code).split())
    if re.match(r"typedef (struct|enum|union) \w+ \{", flat):
        kind, name = re.match(r"typedef (\w+) (\w+)", flat).groups()  # type: ignore[union-attr]
        return kind, name, declaration
    if re.match(r"(struct|enum|union) \w+ \{", flat):
        kind, name = flat.split()[:2]
        return kind, name, declaration
    if flat.startswith("enum {"):
        return "", "", declaration
    if flat.startswith("typedef "):
        opaque = re.match(r"typedef (?:struct|enum|union) (\w+) (\w+);$", flat)
        return "type", opaque[2] if opaque else flat.removeprefix("typedef ").rstrip(";"), ""
    function = re.match(r"([^{;]*\))\s*(?:;|\{)", flat)
    if function is None:
        raise ValueError(f"what is this? {declaration}")
    return "function", function[1], ""


def names_of(text: str) -> dict[str, str]:
    """Return every name that a header declares, and the role that links to it."""
    found = {}
    for _, declarations in _groups(text):
        for declaration in declarations:
            directive, signature, _ = _named(declaration)
            if directive == "function":
                found[re.search(r"(\w+)\(", signature)[1]] = "func"  # type: ignore[index]
            elif directive == "type" and "(*" in signature:
                found[re.search(r"\(\*(\w+)\)", signature)[1]] = "type"  # type: ignore[index]
            elif directive == "type":
                found[signature.split()[-1]] = "type"
            elif directive:
                found[re.split(r"[(\s]", signature)[0]] = "macro" if directive == "macro" else "type"
    return found


def markdown(path: Path, shown_as: str, names: dict[str, str]) -> str:
    """Return a header as a section of a page."""
    groups = list(_groups(path.read_text(encoding="utf-8")))
    head = _prose(groups[0][0], names)
    head = re.sub(r"^[\w.`]+ - ", "", head)
    out = [f"## {shown_as}", "", head[0].upper() + head[1:], ""]
    for comment, declarations in groups[1:]:
        if comment.startswith("## "):
            out += [f"#{comment}", ""]
            continue
        prose = _prose(comment, names) if comment else ""
        if not declarations:
            out += [prose, ""]
        kinds = [_named(declaration) for declaration in declarations]
        for i, (directive, signature, code) in enumerate(kinds):
            # functions that share a comment stand one under the other, and it follows the last
            is_followed = directive == "function" and i + 1 < len(kinds) and kinds[i + 1][0] == "function"
            body = "" if is_followed else "\n\n".join(part for part in (prose, f"```c\n{code}\n```" if code else "") if part)
            out += [f"````{{c:{directive}}} {signature}\n\n{body}\n````" if directive else body, ""]
            prose = prose if is_followed else ""
    return "\n".join(out)
