"""
One reader for the answers of task APIs: create, status and callback.

These APIs are alike and never the same. What differs from vendor to vendor is a
`Vocabulary`, a literal table; what gateways and versions vary (the case of a state, JSON
in JSON, a list of one, a number for a text) is read alike for all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from service.model import Charge, JobError, Outcome, TaskState
from service.model.error_codes import REFUSED_CONTENT, code_of, job_error
from service.providers.bodies import (
    MAX_DEPTH,
    as_id,
    as_number,
    as_word,
    canonical,
    pairs_in,
    unfold,
    value_at,
)
from service.providers.links import ResultNames, find_film, find_link

MAX_CANDIDATES = 8
MAX_WORD_LENGTH, MAX_MESSAGE_LENGTH = 80, 1000
LARGEST_CHARGE = 1e12

#: What other vendors call the ends of a task; each word has been seen from the vendor named.
#: Left out, since they may pass: ready (BFL), finish (Tencent: also of failures), rejected.
SYNONYMS: Mapping[str, TaskState] = {
    "success": TaskState.SUCCEEDED,  # APIXO, kie.ai; SUCCESS at new-api
    "succeeded": TaskState.SUCCEEDED,  # Kling, Replicate, Ark, Runway
    "succeed": TaskState.SUCCEEDED,  # Kling before 2026
    "completed": TaskState.SUCCEEDED,  # Segmind, PiAPI, OpenRouter, OpenAI's videos
    "complete": TaskState.SUCCEEDED,  # ComfyUI's partner API
    "done": TaskState.SUCCEEDED,  # Volcengine, xAI
    "finished": TaskState.SUCCEEDED,  # ComfyUI's partner API, PiAPI
    "successflag_1": TaskState.SUCCEEDED,  # kie.ai's Veo
    "failed": TaskState.FAILED,  # APIXO, Segmind, Kling, and most others
    "fail": TaskState.FAILED,  # kie.ai, MiniMax
    "failure": TaskState.FAILED,  # new-api
    "error": TaskState.FAILED,  # aimlapi
    "canceled": TaskState.FAILED,  # Replicate
    "cancelled": TaskState.FAILED,  # Runway, Ark, OpenRouter
    "aborted": TaskState.FAILED,  # Replicate
    "expired": TaskState.FAILED,  # Ark, OpenRouter
    "timeout": TaskState.FAILED,  # gateways
    "timed_out": TaskState.FAILED,  # gateways
    "successflag_2": TaskState.FAILED,  # kie.ai's Veo
    "successflag_3": TaskState.FAILED,  # kie.ai's Veo
}
#: Words of a task on its way; any other is shown in the timeline.
RUNNING_WORDS = frozenset(
    [
        *("pending", "processing", "waiting", "queued", "queuing", "queueing", "in_queue"),
        *("submitted", "starting", "started", "running", "in_progress", "generating"),
        "successflag_0",  # kie.ai's Veo
    ]
)
#: Says nothing, whatever name it stands under.
_PLEASANTRIES = frozenset({"", "success", "succeed", "succeeded", "ok", "none", "null"})
#: UPPER_SNAKE or PascalCase: a code rather than a word of a sentence.
_CODE = re.compile(r"[A-Z][A-Z0-9_]{3,}|([A-Z][a-z0-9]+){2,}")
_BARE_ID = re.compile(r"(?=.*\d)[\w-]{6,200}")

Node = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Vocabulary:
    """
    How one vendor words its answers.

    Names are written as `bodies.canonical` writes them, the most specific first.
    """

    messages: tuple[str, ...]
    results: ResultNames
    #: The vendor's own words for states; `SYNONYMS` and `RUNNING_WORDS` are read besides.
    state_words: Mapping[str, TaskState]
    #: The task's id; other names for it in the task's object; the id of a request, which
    #: is taken for the task's only where the task's object has it.
    task_ids: tuple[str, ...] = ("id",)
    other_ids: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    #: Objects that wrap the task or its result.
    wrappers: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ("status",)
    #: The vendor's verdict on a request, where 0 and 2xx mean yes; without: the HTTP status.
    codes: tuple[str, ...] = ()
    fail_codes: tuple[str, ...] = ()
    #: Where the price stands, and what the account has left, in dollars.
    cost: tuple[str, ...] = ()
    credits_left: tuple[str, ...] = ()
    #: The HTTP status under which the vendor reports a task as failed.
    failed_status: int | None = None
    #: Where the vendor's own code for a refused request stands, what each means in our words,
    #: and those that are a sure no whatever the HTTP status.
    request_codes: tuple[str, ...] = ()
    refusals: Mapping[str, str] = field(default_factory=dict)
    sure: frozenset[str] = frozenset()
    #: Where the vendor's bill stands: the name of a number, of a bill or of a list of them (or
    #: a path to it), the name of the amount in a bill, and the unit, or the name under which a
    #: bill tells it; blank for dollars.
    charges: tuple[tuple[str, str, str], ...] = ()
    #: Where the vendor repeats our own id for the task, names or paths.
    caller_ids: tuple[str, ...] = ()


class Envelope:
    """
    What an answer or a callback says, whatever its form.

    Args:
        tree: the body as `bodies.read_body` gives it.
        wanted: the task that was asked for; it picks the task out of a list.
        origin: the base of links that begin with a slash.
        words: those of a body that is no tree.
    """

    def __init__(
        self,
        tree: Any,
        vocabulary: Vocabulary,
        wanted: str | None = None,
        origin: str = "",
        words: str = "",
    ) -> None:
        self._tree = tree
        self.vocabulary = vocabulary
        self._origin, self._words = origin, words
        layers = list(_layers(tree, vocabulary, wanted))
        if wanted and wanted in map(self._own_id_in, layers):
            layers = [node for node in layers if self._own_id_in(node) in (None, wanted)]
        # Without any object it may be the bare result: a link, or a list of them.
        self._layers = layers or [{vocabulary.results.names[0]: tree}]
        self._task = self._find_task()
        #: The task's object first, then from the inside out.
        self._nearest = [self._task, *reversed(self._layers)]
        self.is_readable = bool(layers or self.link)

    def _find_task(self) -> Node:
        """
        The innermost object that is the task, neither its wrapper nor its result.

        A state in the outermost object may be the request's: it is the task's where
        that object also names the task, or no object further in is about it.
        """
        states = self.vocabulary.state_names
        stateful = [node for node in self._layers if any(name in node for name in states)]
        named = [node for node in self._layers if self._own_id_in(node)]
        both = [node for node in stateful if self._own_id_in(node)]
        inner = [node for node in stateful if node is not self._layers[0]]
        return (both or inner or named or stateful or self._layers)[-1]

    def _own_id_in(self, node: Node) -> str | None:
        return _first(as_id(node.get(name)) for name in self.vocabulary.task_ids)

    @cached_property
    def own_id(self) -> str | None:
        """The task's id under the vendor's own name for it."""
        return _first(map(self._own_id_in, self._nearest))

    @cached_property
    def task_id(self) -> str | None:
        """The task's id; where the vendor's own name is missing, under another."""
        names = self.vocabulary.other_ids
        if self._task is not self._layers[0] or self.state:
            names += self.vocabulary.request_ids
        others = (as_id(self._task.get(name)) for name in names)
        if found := self.own_id or _first(others):
            return found
        return None if self.state or self.link else _first(self._bare_ids())

    def _bare_ids(self) -> Iterator[str]:
        """A text, or a list of one, that stands where the task's object should be may be its id."""
        names = self.vocabulary.wrappers
        for value in (unfold(node.get(name)) for node in self._layers for name in names):
            first, *others = value if isinstance(value, list) and value else [value]
            if isinstance(first, str) and not others and _BARE_ID.fullmatch(first):
                yield first

    @cached_property
    def caller_id(self) -> str | None:
        """Our own id, which the vendor has for the task."""
        return _first(as_id(value_at(self._task, path)) for path in self.vocabulary.caller_ids)

    @cached_property
    def is_about_a_task(self) -> bool:
        """Whether it says anything of a task: its id, its state or its result."""
        return bool(self.task_id or self.state or self.link)

    @cached_property
    def refusal(self) -> int | None:
        """The code with which the vendor refuses the request; None where it does not."""
        return next((code for code in self._codes() if code and not 200 <= code < 300), None)

    def accepts(self, status: int) -> bool:
        """Whether the request was taken: by the vendor's code, else by the HTTP status."""
        codes = list(self._codes())
        return self.refusal is None if codes else 200 <= status < 300

    def _codes(self) -> Iterator[int]:
        """The codes of the request; one in the task's own object is the task's."""
        own = self._task if self.task_id or self.state else None
        nodes = [node for node in self._layers if node is self._layers[0] or node is not own]
        for value in [node.get(name) for node in nodes for name in self.vocabulary.codes]:
            # It may come as text, also of a fraction.
            if re.fullmatch(r"-?[0-9]{1,9}(\.0+)?", text := as_word(value)):
                yield int(float(text))

    @cached_property
    def state(self) -> str:
        """The vendor's word for the task's state; empty where it gives none."""
        return self._state[1]

    @cached_property
    def meaning(self) -> TaskState | None:
        """What that word means; None for one that we don't know."""
        name, word = self._state
        key = re.sub(r"[\s-]+", "_", f"{name}_{word}" if name == "successflag" else word).lower()
        if key in RUNNING_WORDS:
            return TaskState.RUNNING
        found = SYNONYMS.get(key)
        # In an answer that has no task in it, "error" is rather the end of the request.
        bare = self._task is self._layers[0] and self.task_id is None
        if bare and found is TaskState.FAILED:
            found = None
        return self.vocabulary.state_words.get(key, found)

    @cached_property
    def _state(self) -> tuple[str, str]:
        for name in self.vocabulary.state_names:
            if word := as_word(self._task.get(name)):
                return name, word[:MAX_WORD_LENGTH]
        return "", ""

    @cached_property
    def link(self) -> str | None:
        """Where the video lies: in the task's object or around it, not in another task's."""
        return find_link(self._own_parts(), self.vocabulary.results, self._origin, self.own_id)

    def _result_url(self) -> str | None:
        found = self._own_parts(), self.vocabulary.results, self._origin, self.own_id
        return self.link or find_film(*found)

    def _own_parts(self) -> Iterator[Node]:
        return map(self._without_wrapped, self._nearest)

    def _without_wrapped(self, node: Node) -> Node:
        """The object without the tasks that it wraps: a list may hold others besides ours."""
        wrapped = {name for name in self.vocabulary.wrappers if self._has_task(node.get(name))}
        return {name: value for name, value in node.items() if name not in wrapped}

    def _has_task(self, value: Any) -> bool:
        value = unfold(value)
        items = map(unfold, value if isinstance(value, list) else [value])
        return any(self._own_id_in(canonical(item)) for item in items if isinstance(item, dict))

    @cached_property
    def complaint(self) -> str:
        """The vendor's words about the request, from the outside in."""
        return ": ".join(dict.fromkeys(self._texts(self._layers))) or self._words

    @cached_property
    def message(self) -> str:
        """The vendor's words about the task."""
        return _first(self._texts([self._task, *self._layers])) or ""

    def _texts(self, nodes: Iterable[Node]) -> Iterator[str]:
        names = self.vocabulary.messages
        texts = (text_of(node.get(name), names) for node in nodes for name in names)
        return filter(None, texts)

    @cached_property
    def fail_code(self) -> str | None:
        """The vendor's code for why the task failed."""
        codes = [self._task.get(name) for name in self.vocabulary.fail_codes]
        for error in (unfold(self._task.get(name)) for name in ("error", "detail")):
            errors = error if isinstance(error, list) else [error]
            nested = [canonical(one) for one in errors if isinstance(one, dict)]
            names = (*self.vocabulary.fail_codes, "code", "type")
            codes += [one.get(name) for one in nested for name in names]
        return _first(as_word(code)[:MAX_WORD_LENGTH] for code in codes)

    def dollars(self, path: tuple[str, ...]) -> float | None:
        """The number at this path of names; None where there is none."""
        value: Any = self._layers[0]
        for name in path:
            value = canonical(value).get(name) if isinstance(value, dict) else None
        return as_number(value)

    @cached_property
    def request_code(self) -> str:
        """The vendor's own code for a refused request; blank where it gives none."""
        codes = (node.get(name) for node in self._layers for name in self.vocabulary.request_codes)
        return _first(map(as_word, codes)) or ""

    @cached_property
    def charges(self) -> tuple[Charge, ...]:
        """What the vendor says that it has charged, in its own units."""
        found: list[Charge] = []
        for name, amount, unit in self.vocabulary.charges:
            value = _first(value_at(node, name) for node in self._nearest)
            bills = [{"": value, unit: unit}]
            if isinstance(value, dict | list):
                listed = value if isinstance(value, list) else [value]
                bills = [canonical(one) for one in listed if isinstance(one, dict)]
            found += [bill for one in bills if (bill := _charge(one, amount, unit))]
        return tuple(found)

    def outcome(self, assumed: TaskState | None = None) -> Outcome:
        """
        What became of the task.

        Args:
            assumed: the state of an answer that names none; without it a task that has
                its result is done, and any other is running.
        """
        assumed = assumed or (TaskState.SUCCEEDED if self.link else None)
        known = self.meaning if self.state else assumed
        return Outcome(
            known or TaskState.RUNNING,
            self.task_id,
            result_url=self._result_url() if known is TaskState.SUCCEEDED else None,
            error=self._error() if known is TaskState.FAILED else None,
            cost=self.dollars(self.vocabulary.cost),
            credits_left=self.dollars(self.vocabulary.credits_left),
            charges=self.charges,
            raw_state=self.state,
            message=self.message[:MAX_MESSAGE_LENGTH],
            is_understood=known is not None,
        )

    def _error(self) -> JobError:
        """The vendor's words; where there is no code, one may stand before a colon."""
        message = self.message or f"the provider says {self.state} without a reason"
        word, colon, _ = message.partition(":")
        code = self.fail_code or (word if colon and _CODE.fullmatch(word) else None)
        meaning = code_of(code or "")
        if meaning == "PROVIDER_ERROR" and REFUSED_CONTENT.search(message):
            meaning = "CONTENT_VIOLATION"
        return job_error(meaning, message[:MAX_MESSAGE_LENGTH], code)

    def candidates(self) -> tuple[str, ...]:
        """Every id in it that may be the task's, the likeliest first."""
        pairs = list(pairs_in(self._tree))
        vocabulary = self.vocabulary
        likely = (*vocabulary.task_ids, *vocabulary.other_ids, *vocabulary.request_ids)
        found = [self.own_id]
        found += [as_id(value) for wanted in likely for name, value in pairs if name == wanted]
        found += [self.task_id, *(as_id(value) for name, value in pairs if name.endswith("id"))]
        return tuple(dict.fromkeys(filter(None, found)))


def text_of(value: Any, names: tuple[str, ...], depth: int = MAX_DEPTH) -> str:
    """What a message says, which may be an object or a list of them."""
    value = unfold(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value).strip()
        return "" if text.lower() in _PLEASANTRIES else text[:MAX_MESSAGE_LENGTH]
    if isinstance(value, list) and depth:
        inner = (text_of(item, names, depth - 1) for item in value)
        return "; ".join(filter(None, inner))[:MAX_MESSAGE_LENGTH]
    if isinstance(value, dict) and value and depth:
        node = canonical(value)
        said = _first(text_of(node.get(name), names, depth - 1) for name in names)
        return said or json.dumps(value, ensure_ascii=False)[:MAX_MESSAGE_LENGTH]
    return ""


def _layers(
    value: Any, vocabulary: Vocabulary, wanted: str | None, depth: int = MAX_DEPTH
) -> Iterator[Node]:
    """The outermost object and those that it wraps, from the outside in."""
    value = unfold(value)
    values = map(unfold, value if isinstance(value, list) else [value])
    nodes = [canonical(value) for value in values if isinstance(value, dict)]
    if not nodes or not depth:
        return
    names = (*vocabulary.task_ids, *vocabulary.other_ids, *vocabulary.caller_ids)
    ours = (node for node in nodes if wanted in [as_id(value_at(node, name)) for name in names])
    node = next(ours, nodes[0])
    yield node
    for name in vocabulary.wrappers:
        yield from _layers(node.get(name), vocabulary, wanted, depth - 1)


def _charge(bill: Node, amount: str, unit: str) -> Charge | None:
    """One bill; money counts in the currency that it names."""
    number = as_number(bill.get(amount)) or 0.0
    word = bill.get("currency" if bill.get(unit) == "cash" else unit) if unit else "USD"
    return Charge(str(word), number) if word and 0 < number < LARGEST_CHARGE else None


def _first(values: Iterable[T | None]) -> T | None:
    """The first that is neither missing nor empty."""
    return next(filter(None, values), None)
