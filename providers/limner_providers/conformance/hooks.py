"""What a test class tells the kit about its provider and about the engine (or the stand-in) behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from limner_providers.base import Provider
from limner_providers.conformance.expectations import Expectation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Hooks:
    """The settings and hooks of the kit; everything but `provider` has a default.

    Attributes:
        network: the engine is asked over a network: False skips the checks of HTTP's faults.
        model: the model to test, None: the provider's default.
        secret: the key to configure the provider with: the kit looks for it wherever it must not be.
        quick: fields that every request gets, to make it cheap: `{"num_inference_steps": 2}`.
        slow: fields that make a request last for seconds, for engines on this machine: time-outs and cancellation are
            checked with it. Over a network the fault `hang` does it.
        picture_size: width and height of the pictures that are given to the tasks that start from one.
        promptless: tasks for which the engine takes no prompt, and the provider refuses one.
        keeps_pixels: where a mask is black, and in an outpaint's original, every pixel stays as it was. False: the
            engine draws anew; then `received_mask` has to tell which mask arrived.
        gives_request_ids: the engine gives its calls ids of its own.
        tells_moderation: the engine's refusal says at which stage and for which categories.
        without: faults that this engine's protocol cannot show, by name, each with the reason. They are skipped.
        expectations: what a fault means here, where it is another than in `FAULTS`.
        heavy: modules that importing the provider's own module must not load.
    """

    network: ClassVar[bool] = True
    model: ClassVar[str | None] = None
    secret: ClassVar[str] = "canary-4b1d9c7e-never-shown"  # noqa: S105 - a bait, no key
    quick: ClassVar[Mapping[str, Any]] = {}
    slow: ClassVar[Mapping[str, Any]] = {}
    picture_size: ClassVar[tuple[int, int]] = (64, 64)
    promptless: ClassVar[tuple[str, ...]] = ()
    keeps_pixels: ClassVar[bool] = True
    gives_request_ids: ClassVar[bool] = True
    tells_moderation: ClassVar[bool] = True
    without: ClassVar[Mapping[str, str]] = {}
    expectations: ClassVar[Mapping[str, Expectation]] = {}
    heavy: ClassVar[tuple[str, ...]] = ("torch", "diffusers", "transformers", "openai", "onnxruntime", "PIL", "numpy")

    @pytest.fixture
    def provider(self) -> Provider:
        """Give a new provider for each test, configured with `secret` where its engine wants a key. Override it.

        An engine over the network is given the address of a stand-in; keep that on `self` for the hooks below.
        """
        raise NotImplementedError(f"{type(self).__name__} has to override the fixture `provider`.")

    def calls(self) -> int:
        """Say how many calls arrived at the engine that it would bill. An engine on this machine needs none of this."""
        if self.network:
            raise NotImplementedError(f"{type(self).__name__} has to say by calls() how many paid calls arrived.")
        return 0

    def arrived(self) -> object:
        """Give what the last paid call said, in a form that `==` compares: its decoded body and its files.

        A field that a provider takes has to make a difference here or in the picture. None: only pictures count.
        """
        return None

    def busy(self) -> int:
        """Say how many calls or jobs the engine is still working on: after a cancellation it has to become 0."""
        return 0

    def fail_with(self, fault: str) -> None:
        """Make the next paid call, and only that, go wrong as `FAULTS[fault].says`.

        Raises:
            KeyError: the stand-in cannot show it; name it in `without`, with the reason.
        """
        raise NotImplementedError(f"{type(self).__name__} has to show {fault!r} by fail_with(), or name it in without.")

    def slow_down(self) -> Mapping[str, Any]:
        """Make the next request last for many seconds, and give the fields that it needs for that."""
        if self.network and "hang" not in self.without:
            self.fail_with("hang")
            return {}
        if not self.slow:
            pytest.skip("There is no slow request: give `slow` the fields of one.")
        return self.slow

    def received_mask(self) -> NDArray[np.bool_] | None:
        """Give the mask that arrived with the last paid call: True where the engine is to change the picture.

        Shape (height, width) of the picture that was given. None: none can be seen.
        """
        return None
