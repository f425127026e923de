"""Posts by a language model behind an OpenAI-compatible API, checked before anybody sees them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bot.core.content.drafts import Draft, DraftRequest
from bot.core.content.text import one_line
from bot.core.errors import WriterFailed
from bot.core.spending.usage import ModelUsage
from bot.ports import Writer
from bot.writer.answers import read_answer
from bot.writer.errors import CallCut, DraftRefused
from bot.writer.model_errors import added, cut_off, says_unsupported, translated, unreadable
from bot.writer.prompts import ANSWER_SCHEMA, messages, offered

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

    from bot.writer.connection import ModelLine

_BASE_URL = "https://api.openai.com/v1"
_MESSAGE_TOKENS = 64  # roles, separators and wrapping of one call; real services add under ten a message
_ECHO_BYTES = 2000  # of a bad answer, sent back with the complaints
_COMPLAINT_BYTES = 2000
_STRICT: Mapping[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "post", "strict": True, "schema": ANSWER_SCHEMA},
}

_Message = dict[str, str]
_Answer = TypeVar("_Answer")


class OpenAIWriter(Writer):
    """Asks the model at most twice for each draft.

    `base_url` None means OpenAI itself; `timeout` is in seconds for the whole of each call, whatever
    the service sends meanwhile; `max_output_tokens` bounds each answer, hidden reasoning included.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        model: str,
        timeout: float = 30,
        max_output_tokens: int = 1000,
    ) -> None:
        self._key = api_key
        self._base_url = base_url or _BASE_URL
        self._model = model
        self._timeout = timeout
        self._max_output_tokens = max_output_tokens
        # What this service takes, learned from its first 400 and kept for later drafts.
        self._length_parameter = "max_completion_tokens"
        self._strict = True

    @property
    def name(self) -> str:
        """The service and the model."""
        return f"openai:{self._model}"

    def estimate(self, request: DraftRequest) -> ModelUsage:
        """Returns the most tokens that `write` can spend on the request, its second try included."""
        first = self._most(messages(request, offered(request)))
        again = first.input_tokens + _ECHO_BYTES + _COMPLAINT_BYTES + _MESSAGE_TOKENS
        return self._usage(first.input_tokens + again, 2 * self._max_output_tokens)

    def write(self, request: DraftRequest) -> Draft:
        """Returns a checked draft from one of the items.

        Raises:
            WriterFailed: there is no item, or both answers were unfit; `usage` says what they cost.
            Retryable: `model_unavailable` or `model_credits`; `usage` as above.
            Fatal: `model_keys_invalid` or `model_not_found`.
        """
        items = offered(request)
        if not items:
            raise WriterFailed("there is no item to write from", fix="add sources that can be read")
        talk = messages(request, items)
        spent: ModelUsage | None = None
        complaints: tuple[str, ...] = ()
        for _ in range(2):
            completion = self._ask(talk, spent)
            if not getattr(completion, "choices", None):  # the SDK hands on a page of HTML as a str
                raise unreadable("no choices in it", added(spent, self._most(talk)))
            spent = added(spent, self._reported(completion, talk))
            content = self._content(completion, spent)
            judged = read_answer(content, request, items)
            if not judged.complaints:
                return Draft(text=judged.text, source=judged.source, writer=self.name, usage=spent)
            complaints = judged.complaints
            talk = [*messages(request, items), *_second_try(content, complaints)]
        raise DraftRefused(f"the model's post was unfit twice: {'; '.join(complaints)}", usage=spent)

    def check(self) -> None:
        """Asks the service whether the key and the model are good, which costs nothing.

        Raises:
            Retryable: `model_unavailable` or `model_credits`.
            Fatal: `model_keys_invalid` or `model_not_found`.
        """
        from openai import OpenAIError

        try:
            self._call(lambda client: client.models.retrieve(self._model))
        except CallCut as error:
            raise cut_off(error) from error
        except OpenAIError as error:
            raise translated(error, model=self._model, key=self._key) from error

    def _call(self, ask: Callable[[OpenAI], _Answer]) -> _Answer:
        """Returns what the service answers, over a connection of its own.

        Raises:
            CallCut: it took too long, or said too much.
            OpenAIError: as the SDK raises it.
        """
        from openai import DefaultHttpxClient, OpenAI

        from bot.writer.connection import within

        def call(line: ModelLine) -> _Answer:
            http = DefaultHttpxClient(timeout=self._timeout, event_hooks=line.hooks)
            with OpenAI(
                api_key=self._key,
                base_url=self._base_url,
                timeout=self._timeout,
                max_retries=0,
                http_client=http,
            ) as client:
                return ask(client)

        return within(self._timeout, call)

    def _ask(self, talk: Sequence[_Message], spent: ModelUsage | None) -> ChatCompletion:
        """Sends the talk; a parameter that the service does not know is replaced by its older form."""
        from openai import APIStatusError, OpenAIError

        while True:
            try:
                return self._call(lambda client: self._send(client, talk))
            except CallCut as error:
                raise cut_off(error, spent=spent, most=self._most(talk)) from error
            except OpenAIError as error:
                if isinstance(error, APIStatusError) and self._adapt(error):
                    continue
                most = self._most(talk)
                raise translated(error, model=self._model, key=self._key, spent=spent, most=most) from error
            except ValueError as error:  # a 200 whose body is not what its type says
                raise unreadable("not JSON", added(spent, self._most(talk))) from error

    def _send(self, client: OpenAI, talk: Sequence[_Message]) -> ChatCompletion:
        arguments: dict[str, Any] = {
            "model": self._model,
            "messages": talk,
            "response_format": _STRICT if self._strict else {"type": "json_object"},
            self._length_parameter: self._max_output_tokens,
        }
        completion: ChatCompletion = client.chat.completions.create(**arguments)
        return completion

    def _adapt(self, error: Any) -> bool:
        """Gives up the one parameter that the error names; at most once for each."""
        if self._length_parameter == "max_completion_tokens" and says_unsupported(
            error, "max_completion_tokens"
        ):
            self._length_parameter = "max_tokens"
            return True
        if self._strict and (
            says_unsupported(error, "response_format") or says_unsupported(error, "json_schema")
        ):
            self._strict = False
            return True
        return False

    def _content(self, completion: ChatCompletion, spent: ModelUsage | None) -> str:
        """Returns the answer's text.

        Raises:
            WriterFailed: the model refused, or had no room to answer.
        """
        choice = completion.choices[0]
        if choice.message.refusal:
            raise DraftRefused(f"the model refused: {one_line(choice.message.refusal)[:200]}", usage=spent)
        if choice.finish_reason == "content_filter":
            raise DraftRefused("the model service filtered the answer out", usage=spent)
        if choice.finish_reason == "length":
            raise DraftRefused(
                f"the answer did not fit into {self._max_output_tokens} tokens",
                usage=spent,
                fix="allow more output tokens, or take a model that reasons less",
            )
        return choice.message.content or ""

    def _reported(self, completion: ChatCompletion, talk: Sequence[_Message]) -> ModelUsage:
        """Returns what the answer says it cost, or the most it can have cost if it says nothing."""
        usage = completion.usage
        return self._usage(usage.prompt_tokens, usage.completion_tokens) if usage else self._most(talk)

    def _most(self, talk: Sequence[_Message]) -> ModelUsage:
        """Returns the most that one call can cost: no tokenizer makes more tokens than UTF-8 bytes."""
        sent = sum(len(message["content"].encode()) for message in talk) + len(json.dumps(_STRICT))
        return self._usage(sent + _MESSAGE_TOKENS, self._max_output_tokens)

    def _usage(self, input_tokens: int, output_tokens: int) -> ModelUsage:
        return ModelUsage(model=self._model, input_tokens=input_tokens, output_tokens=output_tokens)


def _second_try(content: str, complaints: Sequence[str]) -> list[_Message]:
    said = content.encode()[:_ECHO_BYTES].decode(errors="ignore")
    wrong = "; ".join(complaints).encode()[: _COMPLAINT_BYTES - 100].decode(errors="ignore")
    return [
        {"role": "assistant", "content": said or "(nothing)"},
        {"role": "user", "content": f"That can't be posted: {wrong}. Answer again with JSON only."},
    ]
