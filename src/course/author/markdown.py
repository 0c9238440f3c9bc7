"""The Markdown of a chapter: rewritten for notebooks (plain) and for pages (MyST)."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROLES = ("term", "cite", "glue:text")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_COLON_FENCE = re.compile(r"^ {0,3}:{3,}\{")
# A code span, or a role where {name} stands right before it; never across an empty line.
_SPAN = re.compile(
    r"(?:\{(?P<role>[a-z][\w:.-]*)\})?(?P<ticks>`+)(?!`)(?P<body>(?:(?!\n\s*\n).)+?)(?<!`)(?P=ticks)(?!`)",
    re.DOTALL,
)
_CHAPTER_LINK = re.compile(r"\]\(\.\./(\d\d_\w+)/\1\.md(#[^)\s]*)?\)")
_BOOK_LINK = re.compile(r"\]\(\.\./\.\./book/(\w+)\.md(#[^)\s]*)?\)")


class Piece(NamedTuple):
    """A stretch of prose, or a fenced block."""

    line: int
    """Its first line, counted from 0."""
    info: str | None
    """None for prose; a block's info string, prefixed by "!" when the block is not closed."""
    body: str
    """The text, without a block's fence lines."""
    raw: str


def pieces(text: str) -> Iterator[Piece]:
    """Split Markdown into prose and fenced blocks."""
    lines = text.split("\n")
    start, i = 0, 0
    while i < len(lines):
        opened = _FENCE.match(lines[i])
        if not opened or (opened[1][0] == "`" and "`" in opened[2]):
            i += 1
            continue
        if i > start:
            prose = "\n".join(lines[start:i])
            yield Piece(start, None, prose, prose)
        ticks = opened[1]
        close = re.compile(rf"^ {{0,3}}{re.escape(ticks[0])}{{{len(ticks)},}}\s*$")
        end = next((j for j in range(i + 1, len(lines)) if close.match(lines[j])), None)
        info = opened[2].strip()
        last = len(lines) if end is None else end
        body, raw = "\n".join(lines[i + 1 : last]), "\n".join(lines[i : last + 1])
        yield Piece(i, info if end is not None else "!" + info, body, raw)
        start = i = last + 1
    if start < len(lines):
        prose = "\n".join(lines[start:])
        yield Piece(start, None, prose, prose)


def problems(text: str, citations: dict[str, str]) -> Iterator[tuple[int, str]]:
    """What the release could not rewrite: (line counted from 0, words)."""
    for at, info, body, _ in pieces(text):
        if info is not None:
            if info.startswith("!"):
                yield at, f"the block that starts with ```{info[1:]} is not closed"
            elif info == "{quiz}":
                try:
                    quiz(body)
                except ValueError as e:
                    yield at, str(e)
            elif info.startswith("{"):
                yield at, f"directive {info.split()[0]} is not known here: only {{quiz}} is"
            continue
        for i, line in enumerate(body.split("\n")):
            if _COLON_FENCE.match(line):
                yield at + i, "::: directives are not known here: only ```{quiz} is"
            if "data:image/" in line:
                yield (
                    at + i,
                    "an image is pasted into the text: draw it in a code cell or link a file",
                )
        for m in _SPAN.finditer(body):
            line = at + body[: m.start()].count("\n")
            if m["role"] and m["role"] not in ROLES:
                yield (
                    line,
                    f"role {{{m['role']}}} is not known here: only {', '.join(ROLES)} are",
                )
            if m["role"] == "cite":
                for key in _keys(m["body"]):
                    if key not in citations:
                        yield line, f"{{cite}}`{key}` is not in book/references.bib"


def headings(text: str) -> list[str]:
    """The headings of a Markdown cell, without their #."""
    return [
        h.strip()
        for piece in pieces(text)
        if piece.info is None
        for h in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", piece.body, re.MULTILINE)
    ]


def for_notebook(text: str, citations: dict[str, str], *, site: str = "") -> str:
    """Rewrite a cell so that it reads well in JupyterLab and Colab, which know no MyST."""

    def role(m: re.Match[str]) -> str:
        if m["role"] == "term":
            return f"*{_term(m['body'])}*"
        if m["role"] == "cite":
            return "(" + "; ".join(citations.get(k, k) for k in _keys(m["body"])) + ")"
        if m["role"] == "glue:text":
            return f"`{m['body'].split(':')[0]}`"
        return m[0]

    def prose(body: str) -> str:
        body = _CHAPTER_LINK.sub(r"](../\1/\1.ipynb)", body)
        body = _BOOK_LINK.sub(rf"]({site}/book/\1.html\2)", body)
        return _SPAN.sub(role, body)

    return _rebuild(text, prose, lambda body: quiz_html(body, prose, page=False))


def for_page(text: str, citations: dict[str, str]) -> str:
    """Rewrite a cell for the site: MyST stays, quizzes become HTML that quiz.js finds."""

    def prose(body: str) -> str:
        body = _CHAPTER_LINK.sub(r"](\1.ipynb\2)", body)
        return _BOOK_LINK.sub(r"](../\1.md\2)", body)

    # Roles do not work inside raw HTML: a quiz takes the plain form.
    plain = functools.partial(for_notebook, citations=citations)
    return _rebuild(text, prose, lambda body: quiz_html(body, plain, page=True))


def _rebuild(text: str, prose: Callable[[str], str], fence: Callable[[str], str]) -> str:
    out = []
    for piece in pieces(text):
        if piece.info is None:
            out.append(prose(piece.body))
        else:
            out.append(fence(piece.body) if piece.info == "{quiz}" else piece.raw)
    return "\n".join(out)


def _term(body: str) -> str:
    shown = re.match(r"^(.+?)\s*<.+>$", body, re.DOTALL)
    return shown[1] if shown else body


def _keys(body: str) -> list[str]:
    return [k.strip() for k in body.split(",")]


# --- quizzes


def quiz(text: str) -> list[dict[str, Any]]:
    """The questions of a quiz fence. Raises ValueError with one line."""
    try:
        questions = yaml.safe_load(text)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f" in its line {mark.line + 1}" if mark else ""
        words = getattr(e, "problem", None) or "not YAML"
        raise ValueError(f"quiz: {words}{where}: put the text in quotes") from None
    if not isinstance(questions, list) or not questions:
        raise ValueError("quiz: a list of questions is needed, each starting with `- q:`")
    for n, item in enumerate(questions, 1):
        if not isinstance(item, dict) or set(item) != {"q", "options"}:
            raise ValueError(f"quiz: question {n} needs `q` and `options`, and nothing else")
        options = item["options"]
        if not isinstance(options, list) or len(options) < 2:
            raise ValueError(f"quiz: question {n} needs at least two options")
        for option in options:
            if not isinstance(option, dict) or not {"text", "why"} <= set(option) <= {
                "text",
                "why",
                "right",
            }:
                raise ValueError(
                    f"quiz: every option of question {n} needs `text` and `why` (and `right: true`)"
                )
        if sum(bool(o.get("right")) for o in options) != 1:
            raise ValueError(f"quiz: question {n} needs exactly one option with `right: true`")
    return questions


def quiz_html(text: str, prose: Callable[[str], str], *, page: bool) -> str:
    """A quiz as folded options: readable without JavaScript, in a notebook and on a page."""

    def inline(value: Any) -> str:
        return _inline(prose(str(value)).strip(), page)

    out = ['<div class="quiz">']
    for n, item in enumerate(quiz(text), 1):
        out.append('<div class="quiz-question">')
        out.append(f'<p class="quiz-q"><strong>{n}.</strong> {inline(item["q"])}</p>')
        for letter, option in zip("ABCDEFGHIJ", item["options"]):
            right = bool(option.get("right"))
            verdict = "Right." if right else "Not this one."
            attribute = f' class="quiz-option" data-right="{str(right).lower()}"' if page else ""
            out.append(
                f"<details{attribute}><summary>{letter}. {inline(option['text'])}</summary>"
                f"<p><strong>{verdict}</strong> {inline(option['why'])}</p></details>"
            )
        out.append("</div>")
    # No empty line in between: one would end the HTML block for Markdown.
    return "\n".join([*out, "</div>"])


def _inline(text: str, page: bool) -> str:
    return " ".join(_renderer(page).renderInline(" ".join(text.split())).split("\n"))


@functools.cache
def _renderer(page: bool) -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    md = MarkdownIt("commonmark").use(dollarmath_plugin)

    def math(self: Any, tokens: Any, i: int, options: Any, env: Any) -> str:
        tex = tokens[i].content.replace("<", r"\lt ").replace(">", r"\gt ")
        if not page:
            return f"${tex}$"
        return rf'<span class="math notranslate nohighlight">\({html.escape(tex)}\)</span>'

    md.add_render_rule("math_inline", math)
    return md


# --- citations


def citations(root: Path) -> dict[str, str]:
    """Author and year of each entry of book/references.bib: {"kingma2015adam": "Kingma and Ba, 2015"}."""
    path = root / "book" / "references.bib"
    if not path.exists():
        return {}
    from pybtex.database import parse_file

    found = {}
    for key, entry in parse_file(str(path)).entries.items():
        people = entry.persons.get("author") or entry.persons.get("editor") or []
        names = [_plain_tex(" ".join(p.prelast_names + p.last_names)) for p in people]
        if len(names) > 2:
            who = f"{names[0]} et al."
        else:
            who = " and ".join(names) or _plain_tex(entry.fields.get("title", key))
        found[key] = f"{who}, {entry.fields.get('year', 'n.d.')}"
    return found


def _plain_tex(text: str) -> str:
    from pybtex.richtext import Text

    return str(Text.from_latex(text))
