"""Trains the starter CLIP: pictures of one thing by several hands, its names and its words, into one space.

A stage of the loop that the diffusion model uses too: it is resumed from its checkpoint, step by step the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from limner_starter.averaging import SlowAverage
from limner_starter.clip_augment import augmented, normalised
from limner_starter.clip_data import STORED, ClipData
from limner_starter.clip_designs import ONE_COLOUR
from limner_starter.clip_model import CONTEXT, averaged, config, new_model
from limner_starter.clip_tokens import tokenizer
from limner_starter.clip_words import ClipCaptioner, Concept, concepts, templates
from limner_starter.device import Compute, StepRandom
from limner_starter.loop import learning_rate, set_learning_rate
from limner_starter.pictures import Pixels
from limner_starter.recipe import Budget

_SCALE = 25.0
"""Logit scale of the concept margins; with unit vectors a margin is a small number."""

_PROXY_SCALE = 20.0
"""Logit scale of the classes."""


@dataclass(frozen=True, kw_only=True)
class ClipRecipe:
    """How much of what.

    Attributes:
        budget: Steps, names a step, highest learning rate.
        width: Width of the picture half.
        difficult: How many of a step's names are drawn from the concepts and what is mistaken for them.
        classes: Weight of "pictures and captions of a name are near its class vector, among all names".
        margins: Weight of "a concept's words beat the others on its pictures, and on no others".
        margin_every: Steps between two looks at the concepts.
        average: Decay of the averaged weights, which are what is delivered.
        seed: All random numbers follow from it.
    """

    budget: Budget = field(default_factory=lambda: Budget(3200, 88, 2e-3))
    width: int = 24
    difficult: int = 16
    classes: float = 0.7
    margins: float = 0.5
    margin_every: int = 2
    average: float = 0.998
    seed: int = 0

    def digest(self) -> str:
        """SHA-256 over the recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Pool:
    """The pictures to learn from, by name: drawings of every design that is not held out, and generated pictures."""

    def __init__(self, data: ClipData, generated: Sequence[Pixels]) -> None:
        rows = data.rows(held_out=False)
        drawn = torch.from_numpy(data.rgba[rows]).permute(0, 3, 1, 2)
        names = np.concatenate([data.name[rows], *(np.arange(len(part)) for part in generated)])
        # Opaque pictures keep their white ground.
        self.pixels = torch.cat([drawn, *(_enlarged(part) for part in generated)]).contiguous()
        # Drawings of one colour are drawn half as often: they teach shapes, but few pictures look like them.
        one_colour = [place for place, design in enumerate(data.designs) if design in ONE_COLOUR]
        grey = np.concatenate([np.isin(data.design[rows], one_colour), *(np.zeros(len(p), bool) for p in generated)])
        times = np.repeat(np.arange(len(names)), np.where(grey, 1, 2))
        self._of_name = [times[names[times] == number].tolist() for number in range(len(data.names))]

    def pair(self, name: int, rng: StepRandom) -> list[int]:
        """Two pictures of a name, different ones where there are two."""
        first = rng.words.choice(self._of_name[name])
        others = [row for row in self._of_name[name] if row != first]
        return [first, rng.words.choice(others or [first])]


def _enlarged(rgb: Pixels) -> Tensor:
    pixels = torch.from_numpy(rgb).permute(0, 3, 1, 2).float()
    large = functional.interpolate(pixels, size=(STORED, STORED), mode="bilinear", align_corners=False)
    opaque = torch.full((len(rgb), 1, STORED, STORED), 255.0)
    return torch.cat([large.round().clamp(0, 255), opaque], 1).byte()


class ClipStage:
    """Both halves together, contrastively."""

    name = "clip"
    title = "starter CLIP"

    def __init__(
        self,
        data: ClipData,
        generated: Sequence[Pixels],
        vocabulary: Sequence[Sequence[str]],
        tokens: tuple[Path, int],
        *,
        recipe: ClipRecipe,
        compute: Compute,
    ) -> None:
        self.budget, self._recipe, self._compute = recipe.budget, recipe, compute
        self._pool, self._words = Pool(data, generated), [frozenset(row) for row in vocabulary]
        self._captioner = ClipCaptioner(data.names, vocabulary)
        file, size = tokens
        self._tokens = tokenizer(file, CONTEXT)
        self.settings = config(size, recipe.width)
        self._concepts = ConceptLoss(concepts(), data.names)
        torch.manual_seed(recipe.seed)
        self.model = new_model(self.settings).to(compute.device, memory_format=torch.channels_last).train()
        with torch.no_grad():
            self.model.logit_scale.fill_(math.log(_PROXY_SCALE))
        width = self.settings["model_cfg"]["embed_dim"]
        self._proxies = torch.nn.Parameter(torch.randn(len(data.names), width, device=compute.device))
        weights = [*self.model.parameters(), self._proxies]
        groups = [
            {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": 0.05},
            {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
        self.average = SlowAverage(self.model.state_dict().items(), recipe.average)

    def step(self, number: int) -> Mapping[str, float]:
        """One step of the loop's protocol."""
        rng = StepRandom(self._recipe.seed, self.name, number)
        set_learning_rate(self._optimiser, learning_rate(self.budget, number, warm_up=100, floor=0.01))
        names = self._names(rng)
        drawn = [row for name in names for row in self._pool.pair(name, rng)]
        pictures = normalised(augmented(self._pool.pixels[drawn], rng)).to(self._compute.device)
        captions, keys = zip(*(self._captioner.caption(name, rng.words) for name in names), strict=True)
        phrases = self._concepts.phrases if number % self._recipe.margin_every == 0 else ()
        sentence = rng.words.choice(templates())
        texts = self._tokens([*captions, *(sentence.format(phrase) for phrase in phrases)]).to(self._compute.device)
        with self._compute.autocast():
            seen, read = self.model.encode_image(pictures), self.model.encode_text(texts)
        seen, read = functional.normalize(seen.float(), dim=-1), functional.normalize(read.float(), dim=-1)
        twice = [name for name in names for _ in range(2)]
        belongs = torch.tensor([[key in self._words[name] for key in keys] for name in twice]).to(seen.device)
        scale = self.model.logit_scale.exp().clamp(max=100)
        loss = contrast(scale * seen @ read[: len(names)].T, belongs)
        figures = {"contrast": loss.item()}
        known = self._classes(seen, read[: len(names)], names, keys)
        loss = loss + self._recipe.classes * known
        if phrases:
            margin = self._concepts(seen, read[len(names) :], twice)
            loss = loss + self._recipe.margins * margin
            figures["margin"] = margin.item()
        self._update(loss, number)
        return {"loss": loss.item(), "classes": known.item(), "scale": scale.item(), "margin": 0.0, **figures}

    def _classes(self, seen: Tensor, read: Tensor, names: Sequence[int], keys: Sequence[str]) -> Tensor:
        """Both pictures of each name, and those captions that are about the name itself."""
        wanted = torch.tensor(names, device=seen.device)
        named = [place for place, name in enumerate(names) if keys[place] == self._captioner.names[name]]
        pictures = classes(seen, self._proxies, wanted.repeat_interleave(2))
        return pictures + classes(read[named], self._proxies, wanted[named]) if named else pictures

    def _names(self, rng: StepRandom) -> list[int]:
        """Different names, some of them from the concepts and what is mistaken for them."""
        hard = self._concepts.difficult
        chosen = rng.words.sample(hard, min(self._recipe.difficult, len(hard)))
        taken = set(chosen)
        others = [name for name in range(len(self._words)) if name not in taken]
        return chosen + rng.words.sample(others, min(self.budget.batch - len(chosen), len(others)))

    def _update(self, loss: Tensor, number: int) -> None:
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimiser.step()
        self.average.update(number + 1)

    def state(self) -> dict[str, Any]:
        """Weights, averages and optimiser."""
        return {
            "model": self.model.state_dict(),
            "proxies": self._proxies.data,
            "average": self.average.values,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what ``state`` gave."""
        self.model.load_state_dict(state["model"])
        self._proxies.data.copy_(state["proxies"])
        self.average.restore(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])

    def result(self) -> Any:
        """The averaged model on the CPU."""
        return averaged(self.model.cpu(), self.average.values)


def contrast(logits: Tensor, belongs: Tensor) -> Tensor:
    """CLIP's loss where several captions may belong to a picture: cross entropy with evenly shared targets, both ways.

    Args:
        logits: ``[pictures, captions]``.
        belongs: The same shape, true where picture and caption belong together.
    """
    target = belongs.float()
    rows = (target / target.sum(1, keepdim=True).clamp(min=1) * logits.log_softmax(1)).sum(1).mean()
    columns = (target / target.sum(0, keepdim=True).clamp(min=1) * logits.log_softmax(0)).sum(0).mean()
    return -0.5 * (rows + columns)


def classes(vectors: Tensor, proxies: Tensor, names: Tensor) -> Tensor:
    """Cross entropy of finding a vector's name among all names' class vectors.

    A batch shows a picture some eighty other names; this shows it all of them, which is what makes so short a training
    possible. The class vectors are thrown away afterwards.
    """
    return functional.cross_entropy(_PROXY_SCALE * vectors @ functional.normalize(proxies, dim=-1).T, names)


class ConceptLoss:
    """Each concept's best word against the best other word, as the detector will compare them.

    Attributes:
        phrases: All words that must be read for it.
        difficult: Places of the names that show a concept, and of those that its contrast words are learned with.
    """

    def __init__(self, known: Sequence[Concept], names: Sequence[str]) -> None:
        self.phrases = tuple(dict.fromkeys(word for one in known for word in (*one.positive, *one.contrast)))
        place = {phrase: number for number, phrase in enumerate(self.phrases)}
        self._sides = [
            ([place[word] for word in one.positive], [place[word] for word in one.contrast]) for one in known
        ]
        labels = [[one.label(name) for name in names] for one in known]
        self._label = torch.tensor([[-1 if label is None else int(label) for label in row] for row in labels])
        special = (self._label != 0).any(0)
        self.difficult = special.nonzero().flatten().tolist()

    def __call__(self, seen: Tensor, read: Tensor, names: Sequence[int]) -> Tensor:
        """The mean loss over concepts; pictures with and without a concept weigh the same.

        Args:
            seen: Unit vectors of pictures, ``[N, D]``.
            read: Unit vectors of ``phrases``.
            names: Which name each picture is of.
        """
        cosines = seen @ read.T
        losses = [
            self._one(cosines, sides, self._label[number, list(names)].to(seen.device))
            for number, sides in enumerate(self._sides)
        ]
        return torch.stack(losses).mean()

    def _one(self, cosines: Tensor, sides: tuple[list[int], list[int]], label: Tensor) -> Tensor:
        positive, other = (torch.logsumexp(_SCALE * cosines[:, side], 1) for side in sides)
        margin = positive - other
        shown, absent = label == 1, label == 0
        loss = margin.new_zeros(())
        if shown.any():
            loss = loss + functional.softplus(-margin[shown]).mean()
        if absent.any():
            loss = loss + functional.softplus(margin[absent]).mean()
        return loss
