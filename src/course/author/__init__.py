"""Authoring: reads chapter sources, releases notebooks through nbgrader, builds the site's pages."""

from course.author.errors import AuthorError

__all__ = ["AuthorError"]
