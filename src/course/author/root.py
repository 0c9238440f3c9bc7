"""Where the course lies, and the addresses that its pages and notebooks point to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

import course
from course.author.errors import AuthorError


def find_root(start: Path | None = None) -> Path:
    """The folder that holds `solutions/` and `_config.yml`: above `start`, else where course is installed.

    Raises:
        AuthorError: neither is inside a checkout of the course.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, *Path(course.__file__).resolve().parents):
        if (folder / "solutions").is_dir() and (folder / "_config.yml").is_file():
            return folder
    raise AuthorError("no solutions/ and _config.yml here or above: run this inside the course")


@dataclass(frozen=True)
class Addresses:
    """Public addresses, all made from `repository` and `html.baseurl` in _config.yml."""

    repository: str
    branch: str
    site: str

    @classmethod
    def read(cls, root: Path) -> Addresses:
        """Read them from `root/_config.yml`. Raises AuthorError."""
        try:
            config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
            repository, html = config["repository"], config["html"]
            return cls(
                repository["url"].rstrip("/"), repository["branch"], html["baseurl"].rstrip("/")
            )
        except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as e:
            raise AuthorError(
                f"_config.yml: repository.url, repository.branch and html.baseurl are needed ({e})"
            ) from None

    def colab(self, chapter: str) -> str:
        """Opens the released notebook in Colab."""
        path = self.repository.removeprefix("https://github.com/")
        return (
            f"https://colab.research.google.com/github/{path}/blob/{self.branch}"
            f"/notebooks/{chapter}/{chapter}.ipynb"
        )

    def page(self, chapter: str) -> str:
        """The chapter's page on the published site."""
        return f"{self.site}/book/chapters/{chapter}.html"

    def pip(self) -> str:
        """What pip installs the course from."""
        return f"git+{self.repository}@{self.branch}"
