"""Prompt texts to what a pipeline is conditioned on; a long prompt is read in windows, never cut off silently.

Runs in a worker's thread beside `_pipeline`. It must never put the text of a prompt into a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_providers.errors import UnsupportedRequest

if TYPE_CHECKING:
    import torch

MAX_WINDOWS = 16
"""A prompt of more windows is refused: attention over them grows with their number, and little of it would count."""


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """What steers the pictures of a request.

    Attributes:
        arguments: for the pipeline's call.
        windows: how many windows the longer of prompt and negative prompt takes.
        warnings: what the caller should know.
    """

    arguments: dict[str, Any]
    windows: int
    warnings: tuple[str, ...]


def condition(pipe: Any, prompt: str, negative_prompt: str | None, *, guided: bool, limit: int) -> Conditioning:
    """Encode a prompt and, where the work is `guided`, a negative prompt (None: the empty one).

    Args:
        pipe: a Stable Diffusion or Stable Diffusion XL pipeline.
        prompt: what to draw.
        negative_prompt: what to avoid.
        guided: classifier-free guidance is on.
        limit: tokens of one window, its two marks included.

    Raises:
        UnsupportedRequest: a text of more than 16 windows.
    """
    texts = {"prompt": prompt} | ({"negative_prompt": negative_prompt} if negative_prompt is not None else {})
    counts = {field: _count(pipe, text) for field, text in texts.items()}
    windows = max(-(-count // (limit - 2)) for count in counts.values())
    if windows <= 1:
        encoded = pipe.encode_prompt(
            prompt=prompt,
            device=pipe.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=guided,
            negative_prompt=negative_prompt if guided else None,
        )
        return Conditioning(arguments=_arguments(encoded), windows=1, warnings=())
    _refuse_endless(counts, limit)
    encoder = _Windows(pipe, windows, limit)
    warnings = tuple(_say(field, count, limit) for field, count in counts.items() if count > limit - 2)
    return Conditioning(
        arguments=encoder.arguments(prompt, negative_prompt, guided), windows=windows, warnings=warnings
    )


def _arguments(encoded: tuple[Any, ...]) -> dict[str, Any]:
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return {name: value for name, value in zip(names, encoded, strict=False) if value is not None}


def _count(pipe: Any, text: str) -> int:
    """Count a text's tokens without the two marks: the greater number where a pipeline has two tokenizers."""
    tokenizers = [pipe.tokenizer, getattr(pipe, "tokenizer_2", None)]
    return max(len(_tokens(tokenizer, text)) for tokenizer in tokenizers if tokenizer is not None)


def _tokens(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return tokens


def _refuse_endless(counts: dict[str, int], limit: int) -> None:
    most = MAX_WINDOWS * (limit - 2)
    for field, count in counts.items():
        if count > most:
            remedy = f"Shorten it to {most:,} tokens."
            why = f"it has {count:,} tokens, and the model's text encoder is given at most {most:,}."
            raise UnsupportedRequest(field, f"({count:,} tokens)", why=why, remedy=remedy)


def _say(field: str, count: int, limit: int) -> str:
    return (
        f"the {field.replace('_', ' ')} has {count} tokens and the text encoder reads {limit - 2} at a time: "
        "it was read in windows, later words steer less"
    )


class _Windows:
    """Encodes texts in windows of the text encoder's length and lays them one behind the other."""

    def __init__(self, pipe: Any, windows: int, limit: int) -> None:
        self.pipe = pipe
        self.windows = windows
        self.limit = limit

    def arguments(self, prompt: str, negative_prompt: str | None, guided: bool) -> dict[str, Any]:
        """Encode both texts for the pipeline's call."""
        import torch

        positive, pooled = self._encode(prompt)
        arguments: dict[str, Any] = {"prompt_embeds": positive, "pooled_prompt_embeds": pooled}
        if guided:
            negative, negative_pooled = self._encode(negative_prompt or "")
            if negative_prompt is None and getattr(self.pipe.config, "force_zeros_for_empty_prompt", False):
                negative = torch.zeros_like(negative)
                negative_pooled = None if negative_pooled is None else torch.zeros_like(negative_pooled)
            arguments |= {"negative_prompt_embeds": negative, "negative_pooled_prompt_embeds": negative_pooled}
        return {name: value for name, value in arguments.items() if value is not None}

    def _encode(self, text: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode to (1, windows x limit, width), and for SDXL the first window's pooled vector."""
        import torch

        with torch.no_grad():
            if getattr(self.pipe, "text_encoder_2", None) is None:
                return _join(self.pipe.text_encoder(self._ids(self.pipe.tokenizer, text))[0]), None
            first = self.pipe.text_encoder(self._ids(self.pipe.tokenizer, text), output_hidden_states=True)
            second = self.pipe.text_encoder_2(self._ids(self.pipe.tokenizer_2, text), output_hidden_states=True)
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        return _join(hidden), second[0][:1]

    def _ids(self, tokenizer: Any, text: str) -> torch.Tensor:
        """Cut a text's tokens into windows, each with its two marks: shape (windows, limit)."""
        import torch

        tokens, room = _tokens(tokenizer, text), self.limit - 2
        rows = []
        for start in range(0, self.windows * room, room):
            row = [tokenizer.bos_token_id, *tokens[start : start + room], tokenizer.eos_token_id]
            rows.append(row + [tokenizer.pad_token_id] * (self.limit - len(row)))
        return torch.tensor(rows, device=self.pipe.device)


def _join(windows: torch.Tensor) -> torch.Tensor:
    """Lay windows of shape (windows, limit, width) one behind the other: (1, windows x limit, width)."""
    return windows.reshape(1, -1, windows.shape[-1])
