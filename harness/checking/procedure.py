"""Can the commands work as they are written, and did those that said they succeeded do anything?

Three kinds are told apart: a command that is wrong in itself (broken, the runbook's failure), one that failed because the
system is down (no failure of the text), and one that ended with success and changed nothing (told with the reason).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from harness.checking.moments import Moments
from harness.model.history import Event, History, Name, Phase, StepTerms
from harness.model.source import Source
from harness.model.verdict import Finding, Outcome

CHECK = "procedure"
STEP = "step"

_WRONG: Final = re.compile(
    r"command not found"
    r"|[Ss]yntax error"
    r"|unexpected EOF while looking for"
    r"|(?:unknown|unrecogni[sz]ed|invalid|illegal) (?:option|flag|shorthand flag|argument|command|subcommand)\b"
    r"|no such option"
    r"|invalid command \\"
    r"|ERROR: +(?:42601|42703|42883|42P02|42704|42809|22P02):"
    r"|(?:column|function|operator|type) .{1,200} does not exist"
    r"|unrecognized configuration parameter"
    r"|the server doesn't have a resource type"
    r"|there is no need to specify a resource type as a separate argument"
    r"|arguments in resource/name form (?:may not have more than one slash|must have a single resource and name)"
    r"|resource\(s\) were provided, but no name was specified|required resource not specified"
    r"|could not translate host name|Could not resolve host|Name or service not known"
    r"|(?:SyntaxError|IndentationError|NameError|ModuleNotFoundError|ImportError):"
)
"""What is said only of a command that is wrong in itself, whatever state the system is in."""

_ABSENT: Final = re.compile(
    r"(?:relation|table|database|role|schema|user) [\"'`](?P<name>[^\"'`]{1,200})[\"'`] does not exist"
    r"|(?P<file>[\w./~*-]{1,200}): No such file or directory"
    r"|[\"](?P<resource>[^\"]{1,200})[\"] not found"
)
"""What is said of a thing that is not there: wrong in the text, unless the fault took it away."""

_UNREACHABLE: Final = re.compile(r"refused|could not connect|unreachable|no route to host", re.IGNORECASE)
_DOWN: Final = re.compile(
    r"refused|could not (?:connect|extend)|unreachable|no route to host|timed out|timeout|reset by peer|broken pipe"
    r"|too many clients|remaining connection slots|server closed the connection|is the server running"
    r"|starting up|shutting down|in recovery mode|No space left|returned error: 50[234]|53300|57P0[1-3]",
    re.IGNORECASE,
)
"""What is said where the system does not answer."""

_ERROR: Final = re.compile(r"^(?:psql:\S+ )?(?:ERROR|FATAL|PANIC): .*$", re.MULTILINE)
_TERMINATES: Final = re.compile(r"pg_(terminate|cancel)_backend", re.IGNORECASE)
_UNSEEN: Final = re.compile(r">\s*/dev/null")
_CHANGED_NOTHING: Final = re.compile(
    r"^(?:(?:DELETE|UPDATE|COPY|MERGE|INSERT 0) 0|No resources found.*)$", re.MULTILINE
)
_CHANGED: Final = re.compile(r"^(?:DELETE|UPDATE|COPY|MERGE|INSERT 0) [1-9]\d*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that ended, beside what the plan says of it."""

    event: Event
    terms: StepTerms | None

    @property
    def source(self) -> Source | None:
        """The runbook line."""
        return self.terms.source if self.terms else self.event.source

    @property
    def text(self) -> str:
        """What was run."""
        return self.terms.text if self.terms else str(self.event.data.get("text", ""))

    @property
    def output(self) -> str:
        """Everything it said, complaints first."""
        return f"{self.said('stderr')}\n{self.said('stdout')}\n{self.said('why')}"

    def said(self, key: str) -> str:
        """One of its streams; empty if it said nothing."""
        value = self.event.data.get(key)
        return value if isinstance(value, str) else ""

    def figure(self, key: str) -> int | None:
        """A figure the executor read from its output."""
        value = self.event.data.get(key)
        return value if isinstance(value, int) else None

    @property
    def short(self) -> str:
        """Its text on one line, cut."""
        line = " ".join(self.text.split())
        return line if len(line) <= 80 else line[:79] + "…"


def check(history: History, moments: Moments) -> Iterator[Finding]:
    """A finding for each step there is something to say about, and one on the procedure as a whole."""
    arm = history.header.arm
    ran = list(_ran(history))
    found = [finding for each in ran for finding in _step(each, history)]
    yield from found
    if not arm.procedure:
        return
    acted = moments.steady is not None and (not arm.fault or moments.felt is not None)
    if acted and moments.started is None:
        yield Finding(CHECK, Outcome.INVALID, "the procedure was not followed")
    elif moments.started is not None and not any(f.check == CHECK for f in found):
        commands = sum(e.event.actor != "preparation" for e in ran)
        how = "to its end" if moments.followed is not None else "until observation ended, not to its end"
        told = "1 command" if commands == 1 else f"{commands} commands"
        yield Finding(CHECK, Outcome.PASSED, f"followed {how}: {told}, none of them broken as written")


def _ran(history: History) -> Iterator[Ran]:
    terms = {step.index: step for step in history.header.terms.steps}
    for event in history.named(Name.STEP, Phase.OK, Phase.FAIL, Phase.INFO):
        number = event.data.get("step")
        step = terms.get(number) if isinstance(number, int) else None
        if step is None or step.what == "command":
            yield Ran(event, step)


def _step(ran: Ran, history: History) -> Iterator[Finding]:
    evidence = (ran.event.index,)
    wrong = _wrong(ran, history)
    if wrong:
        yield _broken(ran, wrong)
    elif ran.event.phase is Phase.FAIL:
        told = _first_line(ran.output) or f"status {ran.event.data.get('status')}"
        why = "the system did not answer it" if _DOWN.search(ran.output) else "it failed"
        yield Finding(STEP, Outcome.INCONCLUSIVE, f"`{ran.short}`: {why}: {told}", evidence, ran.source)
    elif ran.event.phase is Phase.INFO:
        told = ran.said("why") or "it did not end by itself"
        yield Finding(STEP, Outcome.INCONCLUSIVE, f"`{ran.short}`: {told}", evidence, ran.source)
    else:
        idle = _idle(ran)
        if idle:
            yield Finding(
                STEP, Outcome.INCONCLUSIVE, f"`{ran.short}` reports success, but {idle}", evidence, ran.source
            )


def _broken(ran: Ran, wrong: str) -> Finding:
    """The runbook's failure; where the scenario replaced the text, the scenario's, which says nothing about the runbook."""
    evidence = (ran.event.index,)
    if ran.terms is not None and ran.terms.deviation:
        why = f"`{ran.short}`, which the scenario runs in place of the text, cannot work: {wrong}"
        return Finding(CHECK, Outcome.INCONCLUSIVE, why, evidence, ran.source)
    return Finding(CHECK, Outcome.FAILED, f"`{ran.short}` cannot work as written: {wrong}", evidence, ran.source)


def _wrong(ran: Ran, history: History) -> str:
    """Why the command is wrong in itself; empty if it is not, or if that cannot be told from one trial.

    Only what it complained of is read: its output may show other programs' logs.
    """
    complaints = ran.said("stderr")
    if ran.event.phase is Phase.INFO:
        return ""
    if ran.event.phase is Phase.OK:
        lines = [line for line in complaints.splitlines() if _ERROR.match(line) or "command not found" in line]
        return next((line.strip() for line in lines if _WRONG.search(line)), "")
    if ran.event.data.get("status") in (126, 127):
        return _first_line(ran.output) or f"the shell could not run it (status {ran.event.data.get('status')})"
    complaints = f"{complaints}\n{ran.said('why')}"
    match = _WRONG.search(complaints) or _ABSENT.search(complaints)
    if match and not _taken_away(match, history):
        return _line_of(complaints, match)
    if not history.header.arm.fault and _UNREACHABLE.search(complaints):
        return f"no fault is in force, and it does not reach its target: {_first_line(complaints)}"
    return ""


def _taken_away(match: re.Match[str], history: History) -> bool:
    """Whether what is missing may be missing because of the fault: the fault names it, or its evidence does."""
    if not history.header.arm.fault or match.re is not _ABSENT:
        return False
    name = (
        match["file"].rpartition("/")[2] if match["file"] else (match["name"] or match["resource"]).rpartition(".")[2]
    )
    felt = history.first(Name.FAULT, Phase.OK)
    told = f"{history.header.fault} {dict(felt.data) if felt else ''}"
    return name.lower() in told.lower()


def _idle(ran: Ran) -> str:
    """What shows that a command which ended with success did nothing, or not all of it; empty if nothing does."""
    terminating = _TERMINATES.search(ran.text)
    if terminating and _terminated(ran) == 0:
        return "0 sessions terminated" if terminating[1].lower() == "terminate" else "0 queries cancelled"
    errors = _ERROR.findall(ran.said("stderr"))
    if errors:
        return f"{len(errors)} of its statements failed: {errors[0].strip()}"
    output = ran.said("stdout")
    nothing = _CHANGED_NOTHING.search(output)
    if nothing and not _CHANGED.search(output):
        return f"it changed nothing: {nothing[0]}"
    return ""


def _terminated(ran: Ran) -> int | None:
    """How many backends said they were ended; None where the output does not tell."""
    counted = ran.figure("terminated")
    if counted is not None:
        return counted
    if _UNSEEN.search(ran.text):
        return None
    lines = [line.strip() for line in ran.said("stdout").splitlines()]
    ended = sum(line in ("t", "true") or line.endswith("| t") for line in lines)
    told = ended or any(re.fullmatch(r"\(\d+ rows?\)|f|false", line) for line in lines) or not any(lines)
    return ended if told else None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _line_of(text: str, match: re.Match[str]) -> str:
    """The whole line a match stands in."""
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return text[start : end if end >= 0 else None].strip()
