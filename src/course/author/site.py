"""A last look at the built site: nothing empty, nothing loaded from elsewhere, nothing given away."""

from __future__ import annotations

import contextlib
import html as html_module
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from course.author.source import Chapter, secrets

MARKERS = ("BEGINSOLUTION", "BEGINHIDDENTESTS", "ENDSOLUTION", "ENDHIDDENTESTS")
_LOADS = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
_LINKS_THAT_LOAD = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "modulepreload",
    "preconnect",
    "dns-prefetch",
    "manifest",
    "apple-touch-icon",
    "shortcut",
}
_ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)


def toc_pages(root: Path) -> list[str]:
    """The pages of _toc.yml, e.g. "book/intro"."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("file", "root"):
                    yield str(value)
                else:
                    yield from walk(value)
        elif isinstance(node, list):
            for item in node:
                yield from walk(item)

    return list(walk(yaml.safe_load((root / "_toc.yml").read_text("utf-8"))))


def defects(html: Path, pages: list[str], chapters: list[Chapter]) -> list[str]:
    """One line for each thing that a finished site must not have."""
    return [*empty_pages(html, pages), *loads_elsewhere(html), *given_away(html, chapters)]


def empty_pages(html: Path, pages: list[str]) -> Iterator[str]:
    """Pages of the contents that are missing or came out empty; chapters without any output."""
    from bs4 import BeautifulSoup

    for name in pages:
        path = html / f"{name}.html"
        if not path.exists():
            yield f"{name}: in _toc.yml, but there is no such page"
            continue
        body = BeautifulSoup(path.read_text("utf-8"), "html.parser").find("article")
        if body is None:
            yield f"{name}: the page has no text"
            continue
        figures = body.select(".cell_output")
        for heading in body.select("h1, .course-buttons"):
            heading.extract()
        if len(body.get_text(strip=True)) < 100:
            yield f"{name}: the page has no text"
        elif "/chapters/" in f"/{name}" and not figures:
            yield f"{name}: the chapter shows no output: was it executed?"


def loads_elsewhere(html: Path) -> Iterator[str]:
    """Resources that a reader's browser would fetch from another host."""
    from bs4 import BeautifulSoup

    for path in sorted(html.rglob("*.html")):
        name = path.relative_to(html)
        if name.parts[0] == "_static":
            continue
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for tag in page.find_all([*_LOADS, "link"]):
            if tag.name == "link":
                relations = {r.lower() for r in tag.get("rel", [])}
                found = [tag.get("href", "")] if relations & _LINKS_THAT_LOAD else []
            else:
                found = [tag.get(a, "") for a in _LOADS[tag.name]]
            for address in found:
                if _ELSEWHERE.match(address):
                    yield f"{name}: loads {address} from another host"
        for style in (*page.find_all("style"), *page.find_all(style=True)):
            css = style.get_text() if style.name == "style" else style["style"]
            for address in _css_loads(css):
                yield f"{name}: loads {address} from another host"
    for path in sorted(html.rglob("*.css")):
        for address in _css_loads(path.read_text("utf-8", "replace")):
            yield f"{path.relative_to(html)}: loads {address} from another host"


def _css_loads(css: str) -> list[str]:
    return re.findall(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')\s]+)", css)


def given_away(folder: Path, chapters: list[Chapter]) -> Iterator[str]:
    """Files below `folder` in which an answer or a hidden check can be read."""
    what = [(c.name, s) for c in chapters for s in secrets(c)]
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder)
        if "vendor" in name.parts:
            continue
        text = readable(path)
        told = {
            f"{name}: the answer of {s.exercise} in {chapter} can be read: `{s.lines[0]}`"
            for chapter, s in what
            if s.within(text)
        }
        yield from sorted(told)[:3]
        for marker in MARKERS:
            if marker in text:
                yield f"{name}: holds a marker of answers or hidden checks ({marker})"


def readable(path: Path) -> str:
    """All that a reader could find in a file, without white space; "" for what is not text."""
    try:
        raw = path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""
    texts = [raw]
    if path.suffix in (".html", ".svg", ".xml"):
        texts.append(html_module.unescape(re.sub(r"<[^>]*>", "", raw)))
    elif path.suffix in (".ipynb", ".json"):
        with contextlib.suppress(ValueError):
            texts.append("".join(_strings(json.loads(raw))))
    return "\0".join(re.sub(r"\s+", "", t) for t in texts)


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node + "\n"
    elif isinstance(node, dict):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
