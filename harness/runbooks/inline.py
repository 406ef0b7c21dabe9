"""Inline code to commands: which code spans in prose are to be run, and which only mention something."""

import re
from collections.abc import Iterator

from harness.model.runbook import Command, Language, SectionKind
from harness.model.source import Source
from harness.runbooks import commands, language, programs, shell
from harness.runbooks.blocks import Inline, Piece
from harness.runbooks.sessions import Sessions

_CUE = re.compile(
    r"(?:\b(?:run|running|execute|executing|exec|use|using|uses|type|issue|invoke|enter|via"
    r"|with|by|try|check|do|start|call|launch|trigger\w*(?:\s\w+){0,3}|refresh|script)"
    r"(?:\s*\b(?:sql|the|a|this|following|command|script|query|then)\b)*\s*|:|→|->|—|–|\()\s*[\"'*_\[(]*$",
    re.IGNORECASE,
)
_RUN = re.compile(
    r"\b(?:run|running|rerun|re-run|execute|invoke|launch|type|issue|using|with|via"
    r"|trigger\w*(?:\s\w+){0,3}|call)(?:\s*\b(?:the|a|this|script|command|following)\b)*\s*[\"'*_(]*$",
    re.IGNORECASE,
)
_TOLD = re.compile(
    r"\b(?:run|rerun|re-run|execute|invoke|issue|type)(?:\s*\b(?:the|this|command|following)\b)*\s*[:\"'*_(]*\s*$"
    r"|\buse the (?:following )?command\s*:?\s*$",
    re.IGNORECASE,
)
_OBSERVED = re.compile(
    r"\b(?:when|while|after|if|once)\s+(?:\w+\s+){0,2}(?:run|runn|execut|us|call|invok)\w*\s*$", re.IGNORECASE
)
_JOINED = re.compile(r"[\s,]*(?:and|or|then|and then|or else)?[\s,]*", re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:do not|don['’]t|never|avoid|instead of|rather than|not)\s+(?:\w+\s+){0,3}$"
    r"|\b(?:user|human|operator|operational) error\b[^.]*$",
    re.IGNORECASE,
)
_WARNED = re.compile(
    r"^[\s,]*(?:will|would|can|could|may|might)\s+(?:\w+\s+)?"
    r"(?:remove|delete|destroy|cause|break|lose|overwrite|erase|drop|orphan|fail)\b",
    re.IGNORECASE,
)
_NAMED_ONLY = re.compile(r"(?:create|alter|drop|truncate|explain|vacuum|reindex|lock|grant|revoke)\b", re.IGNORECASE)
_RULE = re.compile(
    r"\b(?:thresholds?|expr(?:ession)?|conditions?|rule|fires (?:when|if)|triggers?"
    r"|alert(?:ing)?)\b[^.]{0,30}$",
    re.IGNORECASE,
)
_COMPLETE = {
    "terraform": programs.names("init plan apply destroy validate refresh output show"),
    "npm": programs.names("install test start audit update ci"),
    "minikube": programs.names("start stop delete status"),
    "docker-compose": programs.names("up down ps logs pull build restart stop start"),
    "git": programs.names("status pull push log stash fetch"),
}
_READING = re.compile(
    r"^(?:list|get|describe|show|status|ls|info|version|whoami|login|view|top|ps|stats"
    r"|history)"
)
_ALONE = programs.names(
    "ps stats version status ls list info whoami df top nodes pods events help images info ping leave"
)
_NEEDS_OBJECT = programs.names(
    """
    get describe delete apply create edit patch replace expose scale autoscale rollout logs log exec cp label
    annotate drain cordon uncordon taint run set attach debug explain port-forward upgrade install uninstall
    rollback template pull push build tag inspect rm rmi stop start restart kill up down config use switch
    checkout add commit merge rebase show diff fetch clone plan
    """
)


def found(inline: Inline, kind: SectionKind, path: str, sessions: Sessions) -> Iterator[Command]:
    """The commands among the code spans of one paragraph, item or cell, in order."""
    lead, end = "", -1
    for index, piece in enumerate(inline.pieces):
        if piece.kind != "code" or not piece.text.strip():
            continue
        # "Run `a` or `b`": what is said before the first is said of the second.
        joined = end >= 0 and _JOINED.fullmatch("".join(other.text for other in inline.pieces[end:index]))
        before = lead if joined else "".join(other.text for other in inline.pieces[:index])
        after = "".join(other.text for other in inline.pieces[index + 1 :])
        spoken = _language(piece, before, after, kind)
        if spoken is None:
            continue
        lead, end = before, index + 1
        text = piece.text.removeprefix("$ ").strip()
        source = Source(path, piece.line, piece.line)
        sessions.announce(before.rsplit("\n", 1)[-1].rsplit(". ", 1)[-1])
        setting = sessions.setting(spoken, text)
        sessions.after(spoken, text)
        yield commands.make(text, spoken, source, setting)


def _language(piece: Piece, before: str, after: str, kind: SectionKind) -> Language | None:
    text = piece.text.removeprefix("$ ").strip()
    if _NEGATED.search(before[-60:]) or _WARNED.match(after) or len(text) > 4000:
        return None
    alone = not before.strip(" *_-–—:•>[]x()") and not after.strip(" *_.:;,()")
    sentence = re.search(r"[.!?]\s*$", before) is not None and re.match(r"\s*(?:[.;]|$)", after) is not None
    told = alone or sentence or (_CUE.search(before) is not None and not _OBSERVED.search(before))
    if kind is SectionKind.SYMPTOMS and not told:
        return None
    if language.is_sql(text) and len(text.split()) > 1:
        if _NAMED_ONLY.match(text) and not _says_what(text):
            return None
        return Language.SQL if not _mentioned(after, text) else None
    labelled = re.search(r"\b(?:quer(?:y|ies)|promql|expression)\s*:\s*$", before, re.IGNORECASE) is not None
    asked = (
        re.search(r"\bquery\s*(?:for|the|of)?\s*$", before, re.IGNORECASE) is not None
        and re.search(r"[(\[{]|[=<>]", text) is not None
    )
    if kind is not SectionKind.SYMPTOMS and not _RULE.search(before):
        selector = (
            re.fullmatch(r"\{[^}]*\}", text) is not None and re.search(r"\blogs?\b", before, re.IGNORECASE) is not None
        )
        if language.is_logql(text) or selector:
            return Language.OTHER
        wanted = (labelled or asked) and re.search(r"[_:(\[{=<>]", text) is not None and not text.startswith("<")
        if language.is_promql(text) or (wanted and language.is_promql(text, lenient=True)):
            return Language.PROMQL
    if re.match(r"[A-Z]{3,} [A-Za-z]", text) and language.is_sql(f"{text};") and _CUE.search(before):
        return Language.SQL
    return Language.BASH if _is_shell(text, before, after, alone=alone, kind=kind) else None


def _says_what(text: str) -> bool:
    """Whether a statement that acts on an object names it: `CREATE INDEX` alone is a mention."""
    return text.endswith(";") or (len(re.findall(r"[\w.\"<>]+", text)) > 2 and not re.search(r"\w\s*\(\w*\)$", text))


def _mentioned(after: str, text: str) -> bool:
    """A statement quoted from a log or named as a kind of statement: `SELECT ... FOR UPDATE queries`."""
    return (
        re.match(r"^\s*(?:quer(?:y|ies)|statements?|clauses?|errors?|permission)\b", after, re.IGNORECASE) is not None
        and "<" not in text
    )


def _is_shell(text: str, before: str, after: str, *, alone: bool, kind: SectionKind) -> bool:
    words = text.split()
    body = language.strip_assignments(text).split()
    if not body or re.match(r"^-", text) or re.search(r"^\S+\(\)?$|\(\)$", body[0]):
        return False
    program = body[1] if body[0] == "sudo" and len(body) > 1 else body[0]
    rest = body[2:] if body[0] == "sudo" else body[1:]
    if alone and re.match(r"^[A-Za-z_]\w*=(?:<|\$\(|[\"'])", text):
        return True
    if re.match(r"^[A-Za-z_]\w*=\S*$", text) or (text.endswith((":", "...")) and not rest):
        return False
    if body[0] == "sudo" and "/" in program:
        return True
    if rest and all(re.fullmatch(r"[A-Z][a-z]+", word) for word in rest):
        return False
    if not rest:
        return _bare(program, before, after, alone=alone)
    if programs.known(program):
        return _known(program, rest, before, alone=alone, kind=kind)
    if language.is_shell(text, tagged=False):
        return True
    option = any(re.match(r"^--?[A-Za-z]", word) for word in rest)
    plain = re.match(r"^[a-z][\w.+-]*$", program) is not None
    told = _TOLD.search(before) is not None and kind is not SectionKind.SYMPTOMS
    return plain and shell.read(text).valid and (option or told or (alone and "<" in text)) and not _prose(words)


def _bare(program: str, before: str, after: str, *, alone: bool) -> bool:
    """A single word is run only if the text says to: a script, or a program that does something on its own."""
    told = _RUN.search(before) is not None and not re.match(
        r"^\s*(?:container|pod|deployment|service|job|image|flag|option|command to|process)\b", after
    )
    script = re.search(r"^\.{1,2}/\S+$|\.(?:sh|py|pl|rb|bash)$", program) is not None and "*" not in program
    if script:
        return told or (alone and "/" in program)
    if re.match(r"^\s*(?:commands?|containers?|binary|tool|cli|utility|pods?)\b", after):
        return False
    known = programs.known(program) and program not in programs.WORDS | programs.CLIS
    complete = known and re.match(r"^[a-z]", program) is not None
    return complete and (
        (alone and before.strip() != "")
        or re.search(r"\b(?:run|execute|type)\s*:?\s*$", before, re.IGNORECASE) is not None
    )


def _known(program: str, rest: list[str], before: str, *, alone: bool, kind: SectionKind) -> bool:
    operands = [word for word in rest if not word.startswith("-")]
    if program in programs.WORDS and not language.is_shell(" ".join([program, *rest]), tagged=False):
        return alone or _RUN.search(before) is not None
    if len(operands) == 1 == len(rest) and operands[0] in _COMPLETE.get(program, frozenset()):
        return alone or _RUN.search(before) is not None
    if "..." in rest or "…" in rest or (program in programs.CLIS and not _complete(rest, operands, before)):
        return False
    if rest[0].startswith(("-", "<", "$", "/", ".", "'", '"', "|")) or len(rest) > 2:
        return not (kind is SectionKind.SYMPTOMS and not _CUE.search(before) and len(rest) < 2)
    if len(operands) == 1 and len(rest) == 1:
        return _verb_alone(operands[0], before, alone=alone)
    if (
        len(operands) == 2
        and operands[0] in {"rollout", "config", "system", "container", "image", "volume", "network", "compose", "set"}
        and operands[1] in _NEEDS_OBJECT
    ):
        return alone and _RUN.search(before) is not None
    return True


def _complete(rest: list[str], operands: list[str], before: str) -> bool:
    """Whether a program with sub-commands is told what to act on, needs nothing, or the text says to run it as it is."""
    if any(re.search(r"[/<$.=:\d{]", word) for word in rest) or len(operands) > 3:
        return True
    acting = next((index for index, word in enumerate(operands) if word in _NEEDS_OBJECT), None)
    if acting is not None:
        return len(operands) > acting + (2 if operands[acting] in {"set", "rollout"} else 1)
    return any(_READING.match(word) for word in operands) or _TOLD.search(before) is not None


def _verb_alone(verb: str, before: str, *, alone: bool) -> bool:
    if verb in _NEEDS_OBJECT or ("-" in verb and not verb.startswith("-") and "/" not in verb):
        return False
    return alone or verb in _ALONE or "/" in verb or "." in verb or _CUE.search(before) is not None


def _prose(words: list[str]) -> bool:
    return len(words) > 5 and not any(re.search(r"[-/=<$|\"']", word) for word in words[1:])
