"""Blocks to procedures: a heading and what stands under it, in sections, branches and steps. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.model.runbook import (
    Action,
    Branch,
    BranchKind,
    Command,
    Manual,
    Procedure,
    SectionKind,
    Step,
    Unclassified,
)
from harness.model.source import Source
from harness.runbooks import byhand, fences, inline, kinds, labels, language, parts, steps, variables
from harness.runbooks.blocks import Block, Code, Heading, Inline, Item, Listing, Paragraph, Rule, Table
from harness.runbooks.language import Hint
from harness.runbooks.parts import Part
from harness.runbooks.sessions import Sessions
from harness.runbooks.steps import Found

_CONTAINERS = re.compile(
    r"^(?:diagnos|investigat|triag|resol|mitigat|recover|remed|fix|verif|validat|roll ?-?back"
    r"|revert|prevent|symptom|escalat)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Outline:
    """The procedures of a document, the blocks nothing could be made of, and the headings that only give advice."""

    title: str
    procedures: tuple[Procedure, ...]
    unclassified: tuple[Unclassified, ...]
    advice: tuple[Procedure, ...]


class Outliner:
    """Walks the blocks once, from top to bottom."""

    def __init__(self, path: str, blocks: Sequence[Block]) -> None:
        self._path = path
        self._blocks = blocks
        self._sessions = Sessions(variables.settled(blocks))
        self._headings: list[Heading] = []
        self._procedures: list[Procedure] = []
        self._advice: list[Procedure] = []
        self._unclassified: list[Unclassified] = []
        self._line = self._last = 1
        self._begin(1)

    def outline(self) -> Outline:
        """Everything, read."""
        for block in self._blocks:
            if isinstance(block, Heading):
                self._finish(block.line - 1)
                self._headings = [heading for heading in self._headings if heading.level < block.level]
                self._headings.append(block)
                self._begin(block.line)
            else:
                self._block(block)
                self._last = max(self._last, getattr(block, "end", block.line))
        self._finish(self._last)
        title = next((labels.title(block) for block in self._blocks if isinstance(block, Heading)), "")
        return Outline(title, tuple(self._procedures), tuple(self._unclassified), tuple(self._advice))

    def _begin(self, line: int) -> None:
        self._line = line
        self._last = line
        self._purpose = ""
        self._sections = [Part("", line, self._default())]
        self._stack: list[Part] = [self._sections[0]]
        self._lead = ""
        self._sessions.reset()

    def _default(self) -> SectionKind:
        for heading in reversed(self._headings):
            title = labels.title(heading)
            kind = kinds.is_section_heading(title)
            if kind and (
                heading is self._headings[-1]
                or (heading.level > 1 and _CONTAINERS.match(title) and kinds.exact_section(title))
            ):
                return kind
        return SectionKind.OTHER

    @property
    def _heading(self) -> str:
        return labels.title(self._headings[-1]) if self._headings else ""

    @property
    def _kind(self) -> SectionKind:
        kind = self._stack[0].kind
        return kind if isinstance(kind, SectionKind) else SectionKind.OTHER

    def _finish(self, last: int) -> None:
        sections = tuple(section for part in self._sections if (section := part.section(self._path)).items)
        if not sections:
            return
        source = Source(self._path, self._line, max(last, self._line))
        path = tuple(labels.title(heading) for heading in self._headings)
        procedure = Procedure(path, sections, source, self._purpose)
        if parts.is_procedure(procedure):
            self._procedures.append(procedure)
        elif parts.is_advice(procedure):
            self._advice.append(procedure)

    def _block(self, block: Block) -> None:
        if not isinstance(block, Listing):
            self._sessions.block()
        match block:
            case Paragraph():
                self._paragraph(block.inline)
            case Code():
                self._code(block)
            case Listing():
                self._listing(block)
            case Table():
                self._table(block)
            case Rule() | Heading():
                self._lead = ""

    def _add(self, *items: Found) -> None:
        self._stack[-1].items.extend(items)

    def _open_section(self, kind: SectionKind, title: str, line: int) -> None:
        part = Part(title, line, kind)
        self._sections.append(part)
        self._stack = [part]
        self._sessions.reset()

    def _open_branch(self, title: str, line: int) -> None:
        kind = kinds.branch(title)
        part = Part(title, line, kind)
        del self._stack[1:]
        self._stack[0].items.append(part)
        self._stack.append(part)
        self._sessions.reset()

    def _paragraph(self, content: Inline) -> None:
        if labels.present(content):
            for line in content.lines():
                self._line_of(line)
        else:
            self._text(content, "")

    def _line_of(self, line: Inline) -> None:
        label, rest = labels.split(line)
        if not label:
            self._text(line, "")
            return
        kind = kinds.section(label) if len(label) < 60 else None
        if kind and not (rest.text.strip() and kind is SectionKind.SYMPTOMS and not kinds.exact_section(label)):
            self._nested(kind, label, line.line)
            self._lead = label
            if rest.text.strip():
                self._text(rest, "", said=True)
        elif rest.text.strip():
            self._text(rest, label)
        else:
            self._open_in_place(label, line.line)
            self._lead = label

    def _nested(self, kind: SectionKind, label: str, line: int) -> None:
        """A label inside a list item cannot open a section of the procedure: it is a branch there."""
        if self._depth:
            part = Part(label, line, BranchKind.LABEL)
            self._stack[self._depth - 1].items.append(part)
            self._stack[self._depth :] = [part]
        else:
            self._open_section(kind, label, line)

    def _open_in_place(self, label: str, line: int) -> None:
        if self._depth:
            part = Part(label, line, kinds.branch(label))
            self._stack[self._depth - 1].items.append(part)
            self._stack[self._depth :] = [part]
        else:
            self._open_branch(label, line)

    _depth = 0

    def _text(self, content: Inline, label: str, *, said: bool = False) -> None:
        """A line or paragraph. `said`: it follows a section's label on its line and belongs to it, whatever it says."""
        text = labels.clean(content.text)
        if (label and label.lower() == "purpose") or not (
            self._purpose or label or self._stack[-1].items or self._stack[0].title
        ):
            self._purpose = self._purpose or text[:400]
        title = label or labels.sentence(text)
        found = tuple(inline.found(content, self._kind, self._path, self._sessions))
        source = Source(self._path, content.line, content.end)
        if found:
            self._lead = title
            self._add(self._conditional(Step(title, found, source), text))
        elif said and self._kind is not SectionKind.OTHER:
            self._add(Step(title, (Manual(text, source),), source))
        elif self._kind in parts.WORKING and not text.endswith(":") and kinds.imperative(text) and len(text) < 300:
            self._add(self._conditional(Step(title, (Manual(text, source),), source), text))
        self._lead = labels.last_sentence(text) or self._lead

    def _conditional(self, step: Step, text: str) -> Found:
        if kinds.condition(text) and step.actions:
            return Branch(labels.sentence(text), BranchKind.CONDITION, (step,), step.source)
        return step

    def _code(self, code: Code) -> None:
        lead, self._lead = self._lead, ""
        title = kinds.numbered(lead)[1].rstrip(":") or self._heading
        entries = tuple(fences.Reader(code, self._path, self._sessions).entries())
        found = steps.of_block(entries, title, self._path)
        commanded = any(isinstance(entry, Command) for entry in entries)
        if not commanded and language.hint(code.info) not in {Hint.SHELL, Hint.SQL, Hint.PYTHON}:
            found = ()
        if not found:
            self._unclassified.append(_unclassified(code, self._path))
            return
        if kinds.condition(lead) and lead.rstrip().endswith(":") and self._stack[-1].items and not self._conditioned():
            self._add(
                Branch(
                    labels.sentence(lead),
                    BranchKind.CONDITION,
                    found,
                    Source(self._path, found[0].source.line, found[-1].source.last),
                )
            )
            return
        self._add(*found)

    def _conditioned(self) -> bool:
        return self._stack[-1].kind is BranchKind.CONDITION

    def _listing(self, listing: Listing) -> None:
        stack, depth = self._stack, self._depth
        for item in listing.items:
            self._stack = list(stack)
            self._item(item)
        self._stack, self._depth = stack, depth
        last = listing.items[-1] if listing.items else None
        lead = next((block.inline.text for block in last.blocks if isinstance(block, Paragraph)), "") if last else ""
        self._lead = labels.last_sentence(labels.clean(lead)) if lead.rstrip().endswith(":") else ""

    def _item(self, item: Item) -> None:
        first = item.blocks[0] if item.blocks and isinstance(item.blocks[0], Paragraph) else None
        lead = first.inline if first else Inline((), item.line, item.line)
        label, rest = labels.split(lead)
        if label.casefold() == "purpose":
            self._purpose = labels.clean(rest.text)
            return
        kind = kinds.exact_section(label) if label and not item.number and not self._depth else None
        blocks = item.blocks[1:] if first else item.blocks
        if kind and (rest.text.strip() or blocks):
            self._open_section(kind, label, item.line)
            if rest.text.strip():
                self._item_body(replace(item, number=""), rest, "", blocks)
            else:
                for block in blocks:
                    self._block(block)
            return
        if all(piece.kind.startswith("link") or not piece.text.strip() for piece in lead.pieces) and not blocks:
            return
        self._item_body(item, lead, label, blocks)

    def _item_body(self, item: Item, lead: Inline, label: str, blocks: Sequence[Block]) -> None:
        text = labels.clean(lead.text)
        title = (label or labels.sentence(text)).rstrip(":")
        part = Part(title, item.line, kinds.branch(title) if kinds.condition(title) else BranchKind.LABEL)
        found = tuple(inline.found(lead, self._kind, self._path, self._sessions))
        self._stack.append(part)
        depth, self._depth = self._depth, len(self._stack)
        self._lead = title
        for block in blocks:
            self._block(block)
        del self._stack[self._depth - 1 :]
        self._depth = depth
        nested = tuple(part.frozen(self._path))
        whole = self._merged(item, title, text, found, nested)
        if whole is not None:
            self._add(whole)

    def _merged(
        self, item: Item, title: str, text: str, found: tuple[Command, ...], nested: tuple[Found, ...]
    ) -> Found | None:
        """One step where the item says one thing, else a branch with a step for each of its parts."""
        source = Source(self._path, item.line, item.end)
        number = item.number or ""
        commanded = found or any(True for one in nested for step in parts.steps_of(one) for _ in step.commands())
        if not commanded:
            return byhand.of_item(item, title, text, source, self._kind)
        if all(isinstance(one, Step) and (one.title in {title, self._heading} or len(nested) == 1) for one in nested):
            actions: tuple[Action, ...] = (
                *found,
                *(action for one in nested for step in parts.steps_of(one) for action in step.actions),
            )
            step = Step(title, actions, source, number)
            return Branch(title, BranchKind.CONDITION, (step,), source) if kinds.condition(title) else step
        own = (Step(title, found, Source(self._path, item.line, item.line), number),) if found else ()
        kind = BranchKind.CONDITION if kinds.condition(title) else BranchKind.LABEL
        return Branch(f"{number}. {title}" if number else title, kind, (*own, *nested), source)

    def _table(self, table: Table) -> None:
        kinds_of = [kinds.section(labels.clean(cell.text)) or self._kind for cell in table.header.cells]
        for row in table.rows:
            cells = zip(row.cells, kinds_of, strict=False)
            found = tuple(one for cell, kind in cells for one in inline.found(cell, kind, self._path, self._sessions))
            if found:
                name = next((labels.clean(cell.text) for cell in row.cells if cell.text.strip()), "")
                self._add(Step(name or self._heading, found, Source(self._path, row.line, row.line)))
        self._lead = ""


def _unclassified(code: Code, path: str) -> Unclassified:
    text = "\n".join(code.lines)
    word = code.info.split()[0] if code.info.split() else ""
    reason = (
        "a diagram"
        if re.search(r"[─│┌└├╔║]|-->|\+--", text)
        else f"a block of {word} without commands"
        if word
        else "no command found"
    )
    return Unclassified(text, reason, Source(path, code.line, code.end))
