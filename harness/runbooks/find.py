"""Finds the procedure a scenario names, and the steps on its path through sections and branches. Reads nothing."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

from harness.errors import InputError, Problem
from harness.model.runbook import Branch, BranchKind, Procedure, Runbook, Section, SectionKind, Step

_DEFAULT = (SectionKind.DIAGNOSIS, SectionKind.RESOLUTION, SectionKind.VERIFICATION, SectionKind.OTHER)
_INFORMATIVE = (SectionKind.SYMPTOMS, SectionKind.PREVENTION, SectionKind.ESCALATION)
Part = Section | Branch | Step


def procedure(runbook: Runbook, query: str) -> Procedure:
    """The procedure titled `query`, or the only one whose title (else whose chain of headings) has all its words.

    A heading that only holds other procedures is one too, made of theirs; where nothing else fits, so is one that gives advice.
    InputError, naming the nearest titles with their lines, where none or several fit.
    """
    candidates = (*runbook.procedures, *_parents(runbook.procedures))
    exact = [one for one in candidates if _bare(one.title) == _bare(query)]
    words = _words(query)
    for fitting in (
        exact,
        [one for one in runbook.procedures if words and words <= _words(one.title)],
        [one for one in runbook.procedures if words and words <= _words(" ".join(one.title_path))],
        [one for one in candidates if words and words <= _words(one.title)],
        [one for one in runbook.advice if words and words <= _words(one.title)],
    ):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise InputError(_ambiguous(runbook, query, fitting))
    raise InputError(_unknown(runbook, query, candidates))


def _bare(title: str) -> str:
    """A title without the pictures that some begin with, and whatever its case."""
    return re.sub(r"^\W+", "", title).casefold().strip()


def _parents(procedures: Sequence[Procedure]) -> Iterator[Procedure]:
    """One procedure for each heading that is none itself but has some below it."""
    own = {one.title_path for one in procedures}
    prefixes = dict.fromkeys(one.title_path[:depth] for one in procedures for depth in range(1, len(one.title_path)))
    for prefix in prefixes:
        below = [one for one in procedures if one.title_path[: len(prefix)] == prefix]
        if prefix not in own:
            sections = tuple(section for one in below for section in _titled(one))
            yield Procedure(prefix, sections, below[0].source, below[0].purpose)


def _titled(one: Procedure) -> Iterator[Section]:
    for section in one.sections:
        yield section if section.title else Section(section.kind, one.title, section.items, one.source)


def select(found: Procedure, follow: Sequence[str]) -> tuple[Step, ...]:
    """The steps on the path `follow` through `found`, in the order of the document.

    Each element names a section by its kind or words of its title, or a branch or a step by words of its title; `>` goes
    from the outer to the inner ("resolution > if out of memory"). A section or branch brings its unconditional steps;
    conditional branches come only if named; of alternatives the first, unless another is named. Empty: the unconditional
    steps of the diagnosis, resolution, verification and other sections. InputError names what there is, with lines.
    """
    if not follow:
        return _default(found)
    wanted: dict[int, Step] = {}
    problems: list[Problem] = []
    for element in follow:
        names = [name.strip() for name in element.split(">") if name.strip()]
        try:
            steps = tuple(_follow(found, found.sections, names))
        except InputError as error:
            problems.extend(error.problems)
            continue
        wanted.update((id(step), step) for step in steps)
    if problems:
        raise InputError(problems)
    return tuple(step for step in found.steps() if id(step) in wanted)


def _default(found: Procedure) -> tuple[Step, ...]:
    kinds: tuple[SectionKind, ...] = _DEFAULT
    if not any(section.kind in _DEFAULT for section in found.sections):
        kinds = tuple(kind for kind in SectionKind if kind not in _INFORMATIVE)
    steps = tuple(step for section in found.sections if section.kind in kinds for step in _unconditional(section.items))
    if not steps:
        message = f'"{found.title}" has no steps that are always taken; expected the scenario to name a path'
        raise InputError(Problem(message, found.source, f"follow one of: {_listed(found.sections)}"))
    return steps


def _follow(found: Procedure, parts: Sequence[Part], names: Sequence[str]) -> Iterator[Step]:
    """The steps of the part that `names` lead to, and the unconditional ones on the way to it."""
    if not names:
        raise InputError(Problem('an element of "follow" is empty; expected a section, branch or step', found.source))
    matches = _matches(parts, names[0])
    if not matches:
        message = f'no section, branch or step fits "{names[0]}" in "{found.title}"'
        raise InputError(Problem(message, found.source, f"there are: {_listed(parts) or 'none'}"))
    for part in matches:
        if len(names) == 1:
            yield from _whole(part)
        elif not isinstance(part, Step):
            inner = tuple(_follow(found, part.items, names[1:]))
            named_step = _names_step(part, names[1:])
            yield from inner if named_step else _on_the_way(part, inner)


def _names_step(part: Section | Branch, names: Sequence[str]) -> bool:
    parts: Sequence[Part] = part.items
    for name in names:
        matches = _matches(parts, name)
        if not matches or isinstance(matches[0], Step):
            return True
        parts = matches[0].items
    return False


def _on_the_way(part: Section | Branch, inner: Sequence[Step]) -> Iterator[Step]:
    """The steps of `part` itself that are always taken, and those that were named."""
    named = {id(step) for step in inner}
    for item in part.items:
        if isinstance(item, Step):
            yield item
        else:
            below = tuple(item.steps())
            if any(id(step) in named for step in below):
                yield from (step for step in below if id(step) in named)
            elif _is_choice(item):
                yield from _unconditional((item,))


def _whole(part: Part) -> Iterator[Step]:
    if isinstance(part, Step):
        yield part
    else:
        yield from _unconditional(part.items)


def _unconditional(items: Iterable[Step | Branch]) -> Iterator[Step]:
    """Steps that are always taken: no conditional branch, and of alternatives the first."""
    taken = False
    for item in items:
        if isinstance(item, Step):
            taken = False
            yield item
        elif item.kind is BranchKind.ALTERNATIVE:
            if not taken:
                yield from _unconditional(item.items)
            taken = True
        elif item.kind is BranchKind.LABEL:
            taken = False
            yield from _unconditional(item.items)


def _is_choice(item: Branch) -> bool:
    return bool(item.items) and all(
        isinstance(one, Branch) and one.kind is BranchKind.ALTERNATIVE for one in item.items
    )


def _matches(parts: Sequence[Part], name: str) -> Sequence[Part]:
    """The parts that fit `name`: the shallowest, by kind, then exact title, then words; several only for sections of one kind."""
    level: Sequence[Part] = parts
    while level:
        by_kind = [part for part in level if isinstance(part, Section) and part.kind.value == name.casefold()]
        by_title = [part for part in level if part.title.casefold().strip(" :.") == name.casefold().strip(" :.")]
        words = _words(name)
        by_words = [part for part in level if words and words <= _words(_caption(part))]
        for fitting in (by_kind, _outermost(by_title), _outermost(by_words)):
            if len(fitting) > 1 and fitting is not by_kind:
                places = "; ".join(f'"{part.title}" (line {part.source.line})' for part in fitting)
                raise InputError(
                    Problem(f'"{name}" fits several parts: {places}', fitting[0].source, "name more of its words")
                )
            if fitting:
                return fitting
        level = [item for part in level if not isinstance(part, Step) for item in part.items]
    return ()


def _outermost(parts: Sequence[Part]) -> list[Part]:
    """Without those that a part before them already holds."""
    return [part for part in parts if not any(other is not part and _holds(other, part) for other in parts)]


def _holds(outer: Part, inner: Part) -> bool:
    return not isinstance(outer, Step) and any(item is inner or _holds(item, inner) for item in outer.items)


def _caption(part: Part) -> str:
    return f"{part.number} {part.title}" if isinstance(part, Step) else part.title


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))


def _listed(parts: Sequence[Part]) -> str:
    """Every section and branch by its path, with lines; steps where there is nothing else."""
    lines = list(_paths(parts, ""))
    if not lines:
        lines = [f'"{part.title}" (line {part.source.line})' for part in parts]
    return "; ".join(lines[:40])


def _paths(parts: Sequence[Part], prefix: str) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Step):
            continue
        name = part.kind.value if isinstance(part, Section) else part.title
        path = f"{prefix} > {name}" if prefix else name
        yield f'"{path}" (line {part.source.line})'
        yield from _paths(part.items, path)


def _ambiguous(runbook: Runbook, query: str, fitting: Sequence[Procedure]) -> Problem:
    places = "; ".join(f'"{" > ".join(one.title_path)}" (line {one.source.line})' for one in fitting[:10])
    return Problem(f'"{query}" fits {len(fitting)} procedures: {places}', runbook.source, "name more of the title")


def _unknown(runbook: Runbook, query: str, candidates: Sequence[Procedure]) -> Problem:
    titles = {one.title: one for one in candidates}
    near = difflib.get_close_matches(query, titles, n=5, cutoff=0.3) or list(titles)[:5]
    places = "; ".join(f'"{title}" (line {titles[title].source.line})' for title in near)
    remedy = f"the nearest are: {places}" if near else "the runbook has no procedures"
    return Problem(f'no procedure is called "{query}"', runbook.source, remedy)
