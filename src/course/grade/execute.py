"""Run a rebuilt submission under nbgrader, with the judge in this process and not in the learner's."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Unicode

from course.check.face import REPORT_MIME
from course.check.plain import NotPlain, decode
from course.check.remote import OBSERVED_MIME, call
from course.check.run import draw, judge
from course.check.spec import Exercise, Report
from course.exercises import find
from course.grade.rebuild import ROLE


def seed_for(secret: str, exercise: str) -> int:
    """The seed of an exercise's graded cases: fixed by the secret, unknown without it."""
    digest = hmac.new(secret.encode(), exercise.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8])


class ExecuteAndJudge(Execute):
    """nbgrader's Execute: check cells probe in the kernel and are judged here on secret cases.

    Cells of the chapter that are neither set-up, answer, check nor the learner's own are not run.
    """

    secret = Unicode(help="draws the graded cases").tag(config=True)

    def preprocess(self, nb: Any, resources: Any, km: Any = None) -> tuple[Any, Any]:
        self._dead = False
        self._answers: dict[str, Any] = {}
        return super().preprocess(nb, resources, km=km)

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> tuple[Any, Any]:
        role = cell.metadata.get(ROLE, {}).get("role")
        if cell.cell_type != "code" or role == "chapter":
            return cell, resources
        if role == "check":
            name = cell.metadata.nbgrader.grade_id.removeprefix("check_")
            report = self._check(find(name), cell, resources, index)
            cell.outputs = outputs_of(report)
            return cell, resources
        self._run(cell, resources, index)
        if role == "answer":
            self._answers[cell.metadata.nbgrader.grade_id] = cell
        return cell, resources

    def _run(self, cell: Any, resources: Any, index: int) -> bool:
        """Whether the kernel was alive after the cell."""
        if not self._dead:
            try:
                super().preprocess_cell(cell, resources, index)
            except DeadKernelError:
                self._dead = True
                cell.outputs = [
                    new_output("error", ename="DeadKernelError", evalue="", traceback=[])
                ]
        return not self._dead

    def _check(self, exercise: Exercise, cell: Any, resources: Any, index: int) -> Report:
        cases = draw(exercise, seed_for(self.secret, exercise.name))
        source, cell.source = cell.source, call(exercise.name, cases)
        try:
            alive = self._run(cell, resources, index)
        finally:
            cell.source = source

        def failed(status: Any, message: str) -> Report:
            return Report(exercise.name, status, message=message, section=exercise.section)

        if not alive:
            return failed("crashed", "The kernel died before or during this check.")
        texts = [
            o.data[OBSERVED_MIME]["text"]
            for o in cell.outputs
            if o.output_type == "display_data" and OBSERVED_MIME in o.data
        ]
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if not texts:
            if any("Timeout" in e.ename for e in errors):
                return failed("timeout", "The check did not end in time.")
            words = f"{errors[0].ename}: {errors[0].evalue}" if errors else "nothing came back"
            return failed("crashed", f"The check could not run: {words[:300]}")
        try:
            observed = decode(texts[-1])
        except NotPlain as e:
            return failed("crashed", f"What came back could not be read: {e}")
        if "missing" in observed:
            answer = self._answers.get(exercise.name)
            broken = [o for o in answer.outputs if o.output_type == "error"] if answer else []
            if broken and broken[0].ename != "NotImplementedError":
                words = f"{broken[0].ename}: {broken[0].evalue}".strip(": ")
                return failed("crashed", f"The answer's cell stopped with {words[:300]}")
            return failed("unanswered", f"`{observed['missing']}` is not defined.")
        return judge(exercise, cases, observed["results"])


def outputs_of(report: Report) -> list[Any]:
    """What a check cell shows, such that nbgrader's rule (an error is no points) gives its score."""
    outputs = [
        new_output("display_data", {"text/plain": report.text(), REPORT_MIME: report.plain()})
    ]
    if not report.passed:
        line = f"CheckFailed: {report.message}"
        outputs.append(
            new_output("error", ename="CheckFailed", evalue=report.message, traceback=[line])
        )
    return outputs
