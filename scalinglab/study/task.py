"""The task that a study names: the testbed's, or a benchmark in a JSONL file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from scalinglab.collect import BenchmarkTask, Task, chat_template, draw_testbed, open_benchmark
from scalinglab.errors import DataError
from scalinglab.samples.document import Table
from scalinglab.study.cast import POLICIES
from scalinglab.study.plan import located
from scalinglab.study.settings import Study
from scalinglab.tasks import Level
from scalinglab.tasks.wording import Wording

_MESSAGE = "{prompt}"
"""What a chat is asked: the server writes all that stands around it."""


@contextmanager
def opened_task(
    study: Study, *, wording: Mapping[str, str] | None = None, tell: Callable[[str], None] | None = None
) -> Iterator[Task]:
    """The task of a study, its graders stopped at the end.

    wording: of the run that goes on, as its plan keeps it: its problems are asked in the same words, whatever a
    template would now render. tell: told where it would render another text.
    Raises DataError for a kind or a key that there is not, or a file that cannot be read.
    """
    from scalinglab.study.checked import checked
    from scalinglab.study.written import TASKS, Testbed

    table = Table("task", study.task, way=("task",))
    given = checked(TASKS[table.choice("kind", tuple(TASKS))], table)
    if isinstance(given, Testbed):
        levels = [Level(*level) for level in given.levels]
        yield draw_testbed(levels, given.count, split=given.split, seed=given.seed)
        return
    task = _benchmark(study, given.given(), Wording(**wording) if wording else None, tell)
    try:
        yield task
    finally:
        task.close()


def _benchmark(
    study: Study, options: dict[str, Any], begun: Wording | None, tell: Callable[[str], None] | None
) -> BenchmarkTask:
    """Options as ``open_benchmark`` has them; ``chat`` may name a model of the study for its own template."""
    path, chat = options.pop("path"), options.pop("chat", None)
    if any(one.api == "chat" for name, one in study.models.items() if name in POLICIES):
        chat = _MESSAGE
    elif chat in study.models:
        chat = _template(study, chat) if begun is None else _rendered(study, chat)
    task = open_benchmark(study.folder / path, chat=chat, **options)
    if begun is None or begun == task.wording:
        return task
    if tell is not None:
        tell("a prompt would now be worded otherwise; the run goes on with the words that it began with")
    return task.worded(begun)


def _rendered(study: Study, chosen: str) -> str:
    """A model's template as it is now, for a run that has its own: it may be there no more."""
    try:
        return _template(study, chosen)
    except DataError:
        return _MESSAGE


def _template(study: Study, chosen: str) -> str:
    """A model's own chat template, where it is that of every model which solves the problems."""
    names = [chosen, *(name for name in study.models if name in POLICIES and name != chosen)]
    found = {name: chat_template(located(study.models[name], study.folder)) for name in names}
    other = next((name for name in names if found[name] != found[chosen]), None)
    if other is not None:
        raise DataError(
            f"task.chat is {chosen!r}, and {other} has another chat template",
            "one for all models that solve the problems",
            "collect a study for each, or write chat as text with {prompt} in it",
        )
    return found[chosen]
