"""A loaded diffusers pipeline: loading it quietly and offline, and one picture at a time from it.

Only this module and `_prompts` import torch and diffusers; both run in a worker's thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_providers._model_source import ModelSource
from limner_providers._schedulers import scheduler_choice
from limner_providers.errors import EngineUnavailable, GenerationFailed, ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a picture is made: the effective values, defaults filled in."""

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str | None


class Pipeline:
    """One model in memory.

    Attributes:
        pipe: the diffusers pipeline.
        computing: what decides the last bits of its pixels, as text: device, dtype, threads, versions of libraries.
    """

    def __init__(self, pipe: Any, computing: dict[str, str]) -> None:
        self.pipe = pipe
        self.computing = computing
        self._scheduler_name = type(pipe.scheduler).__name__
        self._own_scheduler: tuple[Any, Any] = (type(pipe.scheduler), pipe.scheduler.config)

    @property
    def scheduler_name(self) -> str:
        """Class and options of the scheduler that was used last, as text."""
        return self._scheduler_name

    def _set_scheduler(self, name: str | None) -> None:
        """Give the pipeline a fresh scheduler (None: the model's own): one keeps no state for the next picture.

        Raises:
            EngineUnavailable: it needs a library that is not installed.
        """
        import diffusers

        kind, config = self._own_scheduler
        options: dict[str, Any] = {}
        if name is not None:
            choice = scheduler_choice(name)
            kind, options = getattr(diffusers, choice.class_name), choice.options
        try:
            self.pipe.scheduler = kind.from_config(config, **options)
        except ImportError as error:
            remedy = f"Run: pip install {error.name or 'scipy'}, or choose another scheduler."
            raise EngineUnavailable(f"scheduler {name} needs a library that is missing.", remedy=remedy) from error
        shown = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
        self._scheduler_name = f"{kind.__name__}({shown})" if shown else kind.__name__

    def draw(
        self, conditioning: dict[str, Any], settings: Settings, seed: int, on_step: Callable[[int], None]
    ) -> NDArray[np.uint8]:
        """Make one picture: uint8 RGB of shape (height, width, 3).

        Args:
            conditioning: the pipeline's arguments for prompt and negative prompt.
            settings: size, steps, guidance, scheduler.
            seed: of this picture's own generator, on the CPU, so that a GPU starts from the same noise.
            on_step: told how many of the steps are done; what it raises ends the work.

        Raises:
            GenerationFailed: the numbers overflowed, or the engine raised.
            EngineUnavailable: out of memory.
        """
        import torch

        generator = torch.Generator("cpu").manual_seed(seed)

        def report(pipe: Any, index: int, _timestep: object, tensors: dict[str, Any]) -> dict[str, Any]:
            # A scheduler of second order has more timesteps than steps.
            on_step(min((index + 1) * settings.num_inference_steps // pipe.num_timesteps, settings.num_inference_steps))
            return tensors

        with _quiet, engine_errors():
            self._set_scheduler(settings.scheduler)
            images = self.pipe(
                **conditioning,
                width=settings.width,
                height=settings.height,
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale,
                generator=[generator],
                output_type="pt",
                callback_on_step_end=report,
                return_dict=False,
            )[0]
        return _to_pixels(images[0])


def _to_pixels(image: torch.Tensor) -> NDArray[np.uint8]:
    """Round 0..1 floats of shape (3, height, width) to uint8 (height, width, 3), as diffusers does."""
    import torch

    if not bool(torch.isfinite(image).all()):
        remedy = "Set dtype to float32 for this model."
        raise GenerationFailed("The picture is not a number everywhere: the computation overflowed.", remedy=remedy)
    pixels: NDArray[np.uint8] = (
        (image.float() * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().contiguous().numpy()
    )
    return pixels


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Tell what torch and diffusers raise as errors of this package."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory() from error
    except RuntimeError as error:
        if "memory" in str(error):
            raise _out_of_memory() from error
        raise GenerationFailed(f"The engine failed ({type(error).__name__}).", remedy="See the cause.") from error
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError) as error:
        raise GenerationFailed(f"The engine failed ({type(error).__name__}).", remedy="See the cause.") from error


def _out_of_memory() -> EngineUnavailable:
    remedy = "Ask for a smaller size, close other programs, or set another device."
    return EngineUnavailable("There is not enough memory for this picture.", remedy=remedy)


class _Quiet:
    """Switches progress bars and warnings of diffusers and transformers off while anybody needs them off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._switch_off()

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore.close()

    def _switch_off(self) -> None:
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        for library in (diffusers_logging, transformers_logging):
            self._restore.callback(library.set_verbosity, library.get_verbosity())
            if library.is_progress_bar_enabled():
                self._restore.callback(library.enable_progress_bar)
            library.set_verbosity_error()
            library.disable_progress_bar()


_quiet = _Quiet()  # one for the process: what it switches is the process's


def load(
    source: ModelSource, *, device: str | None = None, dtype: str | None = None, threads: int | None = None
) -> tuple[Pipeline, int]:
    """Load a model; answers it and the microseconds that took.

    Args:
        source: its files, checked.
        device: None chooses CUDA, then MPS, then the CPU.
        dtype: None chooses float16 on CUDA, float32 elsewhere (half precision is slower on a CPU).
        threads: how many a computation on the CPU may use, in the whole process; None leaves it to torch.

    Raises:
        EngineUnavailable: a library is missing, the device is not there, or memory is.
        ModelUnavailable: the files are damaged or changed while they were read.
    """
    started = time.perf_counter_ns()
    torch, diffusers, transformers = _libraries()
    target = _device(torch, device)
    chosen = dtype or ("float16" if target.type == "cuda" else "float32")
    if threads is not None:
        torch.set_num_threads(threads)
    digest = source.sha256()
    try:
        with _quiet:
            pipe = _read(diffusers, source, getattr(torch, chosen))
            pipe.set_progress_bar_config(disable=True)
            pipe = pipe.to(target)
            # Convolutions over channels-last memory took a tenth less time on the CPU; it decides last bits.
            layout = "contiguous_format" if target.type == "mps" else "channels_last"
            pipe.unet.to(memory_format=getattr(torch, layout))
            pipe.vae.to(memory_format=getattr(torch, layout))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory() from error
    except Exception as error:  # many libraries read these files, each with its own errors
        problem = f"The files of model {source.name} cannot be loaded ({type(error).__name__})."
        raise ModelUnavailable(problem, remedy="See the cause; copy or download the model again.") from error
    if source.sha256() != digest:
        raise ModelUnavailable(f"The files of model {source.name} changed while they were read.", remedy="Try again.")
    computing = {"threads": str(torch.get_num_threads())} if target.type == "cpu" else {}
    versions = {f"version.{library.__name__}": str(library.__version__) for library in (torch, diffusers, transformers)}
    computing |= {"device": str(target), "dtype": chosen, "memory_format": layout}
    loaded = Pipeline(pipe, computing | versions)
    return loaded, (time.perf_counter_ns() - started) // 1000


def _libraries() -> tuple[Any, Any, Any]:
    # On a machine that others use too, torch's threads spin for each other: a picture of half a second was seen to
    # take twenty, and under two with threads that sleep instead. The runtime reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import diffusers
        import torch
        import transformers
    except ImportError as error:
        remedy = "Run: pip install 'limner[diffusers]'"
        raise EngineUnavailable(f"{error.name or 'a library'} is not installed.", remedy=remedy) from error
    return torch, diffusers, transformers


def _device(torch: Any, wanted: str | None) -> Any:
    if wanted is None:
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        remedy = "Leave device out to have it chosen, or set cpu."
        raise EngineUnavailable(f"device {wanted!r} is not there.", remedy=remedy, retry_safe=False) from error
    return device


def _read(diffusers: Any, source: ModelSource, dtype: Any) -> Any:
    """Read the files; `local_files_only` and `use_safetensors`: no network, no pickles."""
    kind = getattr(diffusers, source.folder.class_name)
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    if source.folder.class_name == "StableDiffusionPipeline":
        # The policy judges pictures; a checker that blackens them silently has no place here.
        options |= {"safety_checker": None, "requires_safety_checker": False}
    if source.checkpoint is not None:
        return kind.from_single_file(str(source.checkpoint), config=str(source.folder.path), **options)
    return kind.from_pretrained(
        str(source.folder.path), use_safetensors=True, variant=source.folder.variant, feature_extractor=None, **options
    )
