"""What headings, labels and comments mean: section kinds, conditions, alternatives, numbers. By general words alone."""

import re

from harness.model.runbook import BranchKind, SectionKind
from harness.runbooks import programs

_WORDS: tuple[tuple[SectionKind, tuple[str, ...]], ...] = (
    (
        SectionKind.PREVENTION,
        (
            r"prevent\w*",
            r"post[- ]?mortem",
            r"post[- ]incident",
            r"follow[- ]?up\w*",
            r"lessons?",
            r"long[- ]term (?:fix\w*|solution\w*|action\w*)",
            r"after[- ]action",
            r"hardening",
        ),
    ),
    (
        SectionKind.ROLLBACK,
        (
            r"roll(?:ing)?[- ]?back\w*",
            r"revert\w*",
            r"back[- ]?out\w*",
            r"undo\w*",
        ),
    ),
    (
        SectionKind.VERIFICATION,
        (
            r"verif\w*",
            r"validat\w*",
            r"confirm\w*",
            r"post[- ](?:\w+[- ])?checks?",
            r"success criteria",
            r"expected (?:outcome|result|output)\w*",
            r"sanity check\w*",
            r"smoke tests?",
        ),
    ),
    (
        SectionKind.ESCALATION,
        (
            r"escalat\w*",
            r"contacts?",
            r"communicat\w*",
            r"comms",
            r"notif\w*",
            r"stakeholders?",
            r"who to (?:call|contact)",
            r"support",
        ),
    ),
    (
        SectionKind.DIAGNOSIS,
        (
            r"diagnos\w*",
            r"investigat\w*",
            r"triag\w*",
            r"debug\w*",
            r"troubleshoot\w*",
            r"root cause analysis",
            r"assess\w*",
            r"check ?points?",
            r"identif\w*",
            r"analy[sz]\w*",
            r"inspect\w*",
            r"determine",
            r"first look",
            r"initial checks?",
            r"what to check",
            r"how to check",
        ),
    ),
    (
        SectionKind.SYMPTOMS,
        (
            r"symptoms?",
            r"impacts?",
            r"indicators?",
            r"signs?",
            r"(?:common |possible |probable |likely |root )?causes?",
            r"trigger\w*",
            r"detect\w*",
            r"alerts?",
            r"what you see",
            r"you will see",
            r"meaning",
            r"background",
            r"scenario",
            r"severity",
        ),
    ),
    (
        SectionKind.RESOLUTION,
        (
            r"resol(?:v\w*|ution\w*)",
            r"mitigat\w*",
            r"fix\w*",
            r"remed\w*",
            r"recover\w*",
            r"restor\w*",
            r"solutions?",
            r"workarounds?",
            r"repair\w*",
            r"actions?",
            r"respon(?:ses?|d|ding)",
            r"what to do",
            r"how to fix",
            r"treat\w*",
        ),
    ),
)
_KINDS = tuple((kind, re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)) for kind, words in _WORDS)
_NUMBER = re.compile(
    r"^\s*(?:(?:step|phase|stage)\s+)?(?P<number>\d+(?:\.\d+)*[a-z]?)\s*[.):\-–—]\s*(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"^(?:only\s+)?(?:if|in case(?: of)?|when|where|unless|for|case|scenario)\b", re.IGNORECASE)
_IF = re.compile(r"^(?:only\s+)?(?:if|in case(?: of)?|unless)\b", re.IGNORECASE)
_OPTION = re.compile(
    r"^(?:option|method|approach|alternative|variant|way)\s*(?:#?\d+|[A-Z])?\b(?:\s*[:.)–—-]"
    r"|\s*\(|\s*$)",
    re.IGNORECASE,
)
_OR = re.compile(r"^(?:or\b|alternatively\b|otherwise use\b|alternative\b)", re.IGNORECASE)
_PLATFORMS = programs.names(
    """
    kubernetes k8s docker compose docker-compose swarm podman helm kubectl openshift oc ecs eks gke aks aws
    gcp azure linux macos mac windows systemd ubuntu debian rhel centos fedora alpine bare metal vm vms
    on-prem local cloud cli console ui api terraform postgres postgresql mysql mariadb redis heroku nomad
    """
)
_VERBS = programs.names(
    r"""
    acknowledge add adjust allow announce apply approve archive ask assess assign attach back_up backup block
    bring bump call cancel capture change check choose clean clear click close collect communicate compare
    complete configure confirm connect consider contact coordinate copy create cut declare decrease delete
    deploy deregister detach detect determine disable disconnect document download drain drop edit enable
    engage ensure escalate establish evaluate examine execute expand export extend failover fail_over find fix
    flush follow force get give go_to grep identify implement import increase inform inspect install
    investigate isolate kill launch let limit list locate log look lower make merge monitor move navigate note
    notify observe obtain open page pause perform ping point post prepare profile promote provide provision
    pull purge push put raise reapply reboot recheck reconcile reconfigure reconnect recreate redirect refresh regenerate
    register reindex reinstall relaunch release reload remediate rename replay re-\w+ reproduce requeue rerun resend
    resize resync retrieve return rewrite read rebuild record redeploy reduce remove repair repeat replace report
    request reset resolve restart restore resume retry revert review revoke roll rotate run scale schedule
    search select send set share shut sign spin start stop submit switch sync take tell terminate test trace
    track trigger try tune turn undo uninstall unlock unpause update upgrade upload use validate verify view
    visit wait watch work_with write
    """
)
_IMPERATIVE = re.compile(
    r"^(?:\W*)(?:please |then |now |next,? |first,? |finally,? |also,? |manually |immediately |temporarily )*"
    rf"(?:{'|'.join(sorted(_VERBS)).replace('_', ' ')})\b",
    re.IGNORECASE,
)


def section(title: str) -> SectionKind | None:
    """The kind of section a heading or label opens; None where its words say nothing."""
    plain = _plain(title)
    if _FIGURE.search(plain) or (_CONDITION.match(plain) and not plain.lower().startswith(("scenario", "case"))):
        return None
    best: tuple[int, SectionKind] | None = None
    for kind, pattern in _KINDS:
        found = pattern.search(plain)
        if found and (best is None or found.start() < best[0]):
            best = (found.start(), kind)
    return best[1] if best else None


def is_section_heading(title: str) -> SectionKind | None:
    """The kind of a heading that is nothing but a section's: its first or only telling word stands first."""
    plain = re.sub(
        r"^(?:the|immediate|initial|quick|manual|common|possible|first)\s+", "", _plain(title), flags=re.IGNORECASE
    )
    if re.match(r"scenario\b\W*\w", plain, re.IGNORECASE):
        return None
    for kind, pattern in _KINDS:
        found = pattern.match(plain)
        if found and (
            found.end() == len(plain)
            or not plain[found.end() :]
            .lstrip()
            .startswith(tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            or kind in {SectionKind.VERIFICATION, SectionKind.RESOLUTION, SectionKind.DIAGNOSIS, SectionKind.ESCALATION}
        ):
            return kind
    return None


def exact_section(title: str) -> SectionKind | None:
    """The kind of a label that is a section's name and nothing else."""
    plain = re.sub(
        r"^(?:the|immediate|initial|quick|manual|common|possible|first)\s+",
        "",
        _plain(title).rstrip(" :."),
        flags=re.IGNORECASE,
    )
    plain = re.sub(r"\s*\([^)]*\)$", "", plain)
    if _FIGURE.search(plain):
        return None
    for kind, pattern in _KINDS:
        found = pattern.fullmatch(plain) or (
            pattern.match(plain) if re.fullmatch(r"\S+ (?:steps?|procedure|actions?|plan)", plain) else None
        )
        if found:
            return kind
    return None


_FIGURE = re.compile(r"\b(?:times?|objectives?|targets?)(?:\s*\([^)]*\))?\W*$", re.IGNORECASE)


def _plain(title: str) -> str:
    return (
        re.sub(r"^[\W\d_]*(?:step|phase)?\s*[\d.]*[\W_]*", "", title.strip(), flags=re.IGNORECASE).strip()
        or title.strip()
    )


def numbered(text: str) -> tuple[str, str]:
    """The number a step's text starts with (`1.`, `Step 2:`), and the rest; an empty number where there is none."""
    found = _NUMBER.match(text)
    return (found["number"], found["rest"].strip()) if found and found["rest"].strip() else ("", text.strip())


def branch(title: str) -> BranchKind:
    """Why the part under a label that opens no section is a branch."""
    plain = title.strip()
    if _OPTION.match(plain) or _OR.match(plain) or platform(plain):
        return BranchKind.ALTERNATIVE
    return (
        BranchKind.CONDITION
        if _CONDITION.match(plain) or re.search(r"\((?:only )?(?:if|when|in case)\b", plain)
        else BranchKind.LABEL
    )


def condition(text: str) -> bool:
    """Whether a step is to be taken only if something holds."""
    return _IF.match(numbered(text)[1]) is not None


def alternative(text: str) -> bool:
    """Whether a comment says that what follows may be done instead of what precedes."""
    return _OR.match(text.strip()) is not None


def option(text: str) -> bool:
    """Whether a comment or label names one of several ways: "Option B"."""
    return _OPTION.match(numbered(text)[1]) is not None


def platform(text: str) -> bool:
    """Whether a comment or label is nothing but the name of a platform: one way for each."""
    words = re.findall(r"[a-z0-9-]+", re.sub(r"^(?:on|for|using|with|via|in)\s+", "", text.strip().lower()))
    return (
        0 < len(words) <= 3
        and all(word in _PLATFORMS for word in words)
        and words not in (["api"], ["postgres"], ["redis"], ["local"])
    )


def imperative(text: str) -> bool:
    """Whether a text tells somebody to do something."""
    return _IMPERATIVE.match(numbered(text)[1]) is not None


def expectation(text: str) -> bool:
    """Whether a comment says what a command prints, or remarks on it, rather than what to do."""
    return re.match(
        r"^(?:\W*)(?:expected|expect|should|output|returns?|result|example|e\.g|note"
        r"|example output|response|→|=>|will|this|these|that)\b",
        text.strip(),
        re.IGNORECASE,
    ) is not None or text.startswith(("→", "=>", "->"))
