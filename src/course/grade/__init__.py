"""Grading for instructors: rebuild submissions, run them under nbgrader, judge, report."""
